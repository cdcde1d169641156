import threading

import pytest
from storyloom.domain.ports import ProjectRef
from storyloom.tasks.ports import PortMissing, Ports, ports_for, use

HERE = ProjectRef(repository="/srv/projects/here")
THERE = ProjectRef(repository="/srv/projects/there")


def test_the_ports_of_a_project_are_made_once_and_each_project_has_its_own():
    made = []

    def compose(project):
        made.append(project)
        return Ports(project)

    with use(compose):
        assert ports_for(HERE) is ports_for(HERE)
        assert ports_for(THERE).project == THERE
    assert made == [HERE, THERE]


def test_a_composition_holds_in_every_thread_and_ends_with_its_block():
    seen = []
    with use(Ports):
        outer = ports_for(HERE)
        with use(Ports):
            thread = threading.Thread(target=lambda: seen.append(ports_for(HERE)))
            thread.start()
            thread.join()
            assert seen == [ports_for(HERE)]
            assert seen[0] is not outer
        assert ports_for(HERE) is outer


def test_a_port_that_was_not_given_says_its_name_at_its_first_use():
    ports = Ports(HERE)
    assert ports.deploy is None
    assert not ports.sandbox
    with pytest.raises(PortMissing, match="`sandbox` was asked for `probe`"):
        ports.sandbox.probe()
