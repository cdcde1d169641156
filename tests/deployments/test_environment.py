"""The environment is read once, and says where things are kept."""

import ssl
from pathlib import Path

import certifi
import pytest
from storyloom.deployments.environment import (
    own_server_settings,
    prefect_settings,
    project_folder,
    read_environment,
    usable_home,
)
from storyloom.domain.errors import InputError


def test_keys_and_base_urls_are_found_by_provider_and_never_shown():
    environment = read_environment(
        {"STORYLOOM_HOME": "/srv/x", "OPENAI_API_KEY": "hunter2hunter2", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    )
    assert environment.keys == {"openai": "hunter2hunter2"}
    assert environment.base_urls == {"openai": "http://127.0.0.1:1/v1"}
    assert "hunter2" not in repr(environment)


def test_two_repositories_of_one_name_have_two_folders(tmp_path: Path):
    one, two = tmp_path / "a" / "shelf", tmp_path / "b" / "shelf"
    assert project_folder(tmp_path, one) != project_folder(tmp_path, two)
    assert project_folder(tmp_path, one).name.startswith("shelf-")
    assert project_folder(tmp_path, one) == project_folder(tmp_path, f"{one}/../shelf")


def test_the_home_follows_the_variable_then_the_persons_state_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert read_environment({"XDG_STATE_HOME": "/srv/state"}).home == Path("/srv/state/storyloom")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert read_environment({}).home == Path("/var/lib/storyloom")


def test_prefect_sends_nothing_to_anybody_and_keeps_results_where_a_resumed_run_finds_them(tmp_path: Path):
    settings = prefect_settings(tmp_path, "http://127.0.0.1:1/api")
    assert settings["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert settings["DO_NOT_TRACK"] == "1"
    assert settings["PREFECT_LOCAL_STORAGE_PATH"] == str(tmp_path / "results")
    assert settings["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"


def test_a_state_folder_is_made_or_refused_with_the_variable_that_names_another(tmp_path: Path):
    assert usable_home(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(InputError, match=r"State cannot be kept in .*: .* export STORYLOOM_HOME=…"):
            usable_home(place)


def test_a_client_of_our_own_server_asks_for_no_token_unless_the_person_has_switched_that_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PREFECT_SERVER_CSRF_PROTECTION_ENABLED", raising=False)
    monkeypatch.setenv("PREFECT_API_SSL_CERT_FILE", "/etc/own.pem")
    ours, theirs = (made(tmp_path, "http://127.0.0.1:1/api") for made in (own_server_settings, prefect_settings))
    assert ours == {**theirs, "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false"}
    monkeypatch.setenv("PREFECT_SERVER_CSRF_PROTECTION_ENABLED", "true")
    assert own_server_settings(tmp_path, "http://127.0.0.1:1/api") == theirs


def test_a_client_of_our_own_server_reads_one_authority_that_it_would_trust_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PREFECT_API_SSL_CERT_FILE", raising=False)
    kept = own_server_settings(tmp_path, "http://127.0.0.1:1/api")["PREFECT_API_SSL_CERT_FILE"]
    everyone, one = (ssl.create_default_context(cafile=path).get_ca_certs() for path in (certifi.where(), kept))
    assert len(one) == 1
    assert one[0] in everyone
    monkeypatch.setenv("PREFECT_API_SSL_CERT_FILE", str(tmp_path / "gone" / Path(kept).name))  # of another home
    assert own_server_settings(tmp_path, "http://127.0.0.1:1/api")["PREFECT_API_SSL_CERT_FILE"] == kept
    monkeypatch.setenv("PREFECT_API_SSL_CERT_FILE", "/etc/own.pem")
    assert "PREFECT_API_SSL_CERT_FILE" not in own_server_settings(tmp_path, "http://127.0.0.1:1/api")
