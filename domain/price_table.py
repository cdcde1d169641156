"""What did the listed models cost per million tokens, as of the date below, and what do they take?

Seeded from the price map bundled with litellm 1.106.2; a test lists every difference. To follow a price change, add a
row to LATER with the day from which it holds; rows are never edited, so that old bills can be computed again.
"""

from __future__ import annotations

AS_OF = "2026-11-01"
EFFECTIVE_FROM = "2025-01-01"

# Dollars per million tokens, in the order: input, output, cache read, cache write 5 min, cache write 1 h; "-" = no
# price of its own (billed as input). `long` is "above: rates": more input than `above` bills the whole request so.
# Flags: batch (half price in batches), responses (OpenAI's Responses API only), schema (takes a JSON schema natively),
# effort (takes a reasoning effort).
Row = tuple[str, int, int, str, str, str, str]  # model, context in, most out, rates, long, flags, end of life

ROWS: tuple[Row, ...] = (
    ("claude-haiku-4-5", 200_000, 64_000, "1 5 0.1 1.25 2", "", "batch schema", ""),
    (
        "claude-haiku-5-5",
        1_000_000,
        128_000,
        "0.1 0.5 0.01 0.125 0.2",
        "100000: 0.5 2.5 0.05 0.625 1",
        "batch effort schema",
        "",
    ),
    ("claude-sonnet-4-5", 200_000, 64_000, "3 15 0.3 3.75 6", "", "batch schema", "2026-11-30"),
    ("claude-sonnet-4-6", 1_000_000, 128_000, "3 15 0.3 3.75 6", "", "batch effort schema", ""),
    ("claude-sonnet-5", 1_000_000, 128_000, "2 10 0.2 2.5 4", "", "batch effort schema", ""),
    ("claude-sonnet-5-5", 1_000_000, 128_000, "2 10 0.1 2.5 4", "", "batch effort schema", ""),
    ("claude-opus-4-5", 200_000, 64_000, "5 25 0.5 6.25 10", "", "batch effort schema", ""),
    ("claude-opus-4-6", 1_000_000, 128_000, "5 25 0.5 6.25 10", "", "batch effort schema", ""),
    ("claude-opus-4-7", 1_000_000, 128_000, "5 25 0.5 6.25 10", "", "batch effort schema", ""),
    ("claude-opus-4-8", 1_000_000, 128_000, "5 25 0.5 6.25 10", "", "batch effort schema", ""),
    ("claude-opus-5", 1_000_000, 128_000, "5 25 0.5 6.25 10", "", "batch effort schema", ""),
    ("claude-opus-5-5", 1_000_000, 128_000, "4 20 0.2 5 8", "", "batch effort schema", ""),
    ("claude-fable-5", 1_000_000, 128_000, "10 50 1 12.5 20", "", "batch effort schema", ""),
    ("claude-mythos-5", 1_000_000, 128_000, "10 50 1 12.5 20", "", "batch effort schema", ""),
    ("claude-mythos-preview", 1_000_000, 128_000, "10 50 1 12.5 20", "", "effort schema", "2026-06-09"),
    ("claude-fable-5-1", 1_000_000, 128_000, "10 50 0.25 12.5 20", "", "batch effort schema", ""),
    ("claude-mythos-5-1", 1_000_000, 128_000, "10 50 0.25 12.5 20", "", "batch effort schema", ""),
    ("gpt-6.1-sol", 922_000, 128_000, "2 10 0.1 2.5 -", "272000: 4 15 0.2 5 -", "batch effort schema", ""),
    ("gpt-6-astra", 922_000, 128_000, "10 50 1 12.5 -", "272000: 20 75 2 25 -", "batch effort schema", ""),
    ("gpt-6-sol", 922_000, 128_000, "2 10 0.2 2.5 -", "272000: 4 15 0.4 5 -", "batch effort schema", ""),
    ("gpt-6-luna", 922_000, 128_000, "0.1 0.5 0.01 0.125 -", "272000: 0.2 0.75 0.02 0.25 -", "batch effort schema", ""),
    ("gpt-5.6", 922_000, 128_000, "4 20 0.4 5 -", "272000: 8 30 0.8 10 -", "batch effort schema", ""),
    ("gpt-5.6-sol", 922_000, 128_000, "4 20 0.4 5 -", "272000: 8 30 0.8 10 -", "batch effort schema", ""),
    ("gpt-5.6-terra", 922_000, 128_000, "2 12 0.2 2.5 -", "272000: 4 18 0.4 5 -", "batch effort schema", ""),
    ("gpt-5.6-luna", 922_000, 128_000, "0.2 1.2 0.02 0.25 -", "272000: 0.4 1.8 0.04 0.5 -", "batch effort schema", ""),
    ("gpt-5.5", 1_050_000, 128_000, "5 30 0.5 - -", "272000: 10 45 1 - -", "batch effort schema", ""),
    ("gpt-5.5-pro", 1_050_000, 128_000, "30 180 - - -", "272000: 60 270 - - -", "batch responses effort", ""),
    ("gpt-5.4-pro", 1_050_000, 128_000, "30 180 - - -", "272000: 60 270 - - -", "batch responses effort", ""),
    ("gpt-5.4", 1_050_000, 128_000, "2.5 15 0.25 - -", "272000: 5 22.5 0.5 - -", "batch effort schema", ""),
    ("gpt-5.4-mini", 272_000, 128_000, "0.75 4.5 0.075 - -", "", "batch effort schema", ""),
    ("gpt-5.4-nano", 272_000, 128_000, "0.2 1.25 0.02 - -", "", "batch effort schema", "2027-04-01"),
    ("gpt-5.2", 272_000, 128_000, "1.75 14 0.175 - -", "", "batch effort schema", ""),
    ("gpt-5.2-codex", 272_000, 128_000, "1.75 14 0.175 - -", "", "responses effort schema", "2026-07-23"),
    ("gpt-5.3-codex", 272_000, 128_000, "1.75 14 0.175 - -", "", "responses effort schema", "2027-04-01"),
    ("gpt-5.2-pro", 272_000, 128_000, "21 168 - - -", "", "batch responses effort schema", ""),
    ("gpt-5", 272_000, 128_000, "1.25 10 0.125 - -", "", "batch effort schema", ""),
    ("gpt-5-codex", 272_000, 128_000, "1.25 10 0.125 - -", "", "responses effort schema", "2026-07-23"),
    ("gpt-5.1", 272_000, 128_000, "1.25 10 0.125 - -", "", "batch effort schema", "2027-04-01"),
    ("gpt-5.1-codex", 400_000, 128_000, "1.25 10 0.125 - -", "", "responses effort schema", "2026-07-23"),
    ("gpt-5.1-codex-max", 400_000, 128_000, "1.25 10 0.125 - -", "", "responses effort schema", "2026-07-23"),
    ("gpt-5.1-codex-mini", 400_000, 128_000, "0.25 2 0.025 - -", "", "responses effort schema", "2026-07-23"),
    ("gpt-5-pro", 400_000, 272_000, "15 120 - - -", "", "batch responses effort schema", ""),
    ("gpt-5-mini", 272_000, 128_000, "0.25 2 0.025 - -", "", "batch effort schema", ""),
    ("gpt-5-nano", 272_000, 128_000, "0.05 0.4 0.005 - -", "", "batch effort schema", ""),
    ("gpt-4.1", 1_047_576, 32_768, "2 8 0.5 - -", "", "batch schema", ""),
    ("gpt-4.1-mini", 1_047_576, 32_768, "0.4 1.6 0.1 - -", "", "batch schema", ""),
    ("gpt-4.1-nano", 1_047_576, 32_768, "0.1 0.4 0.025 - -", "", "batch schema", "2026-10-23"),
    ("o3", 200_000, 100_000, "2 8 0.5 - -", "", "batch effort schema", ""),
    ("o3-pro", 200_000, 100_000, "20 80 - - -", "", "batch responses effort schema", ""),
    ("o3-mini", 200_000, 100_000, "1.1 4.4 0.55 - -", "", "batch effort schema", "2026-10-23"),
    ("o4-mini", 200_000, 100_000, "1.1 4.4 0.275 - -", "", "batch effort schema", "2026-10-23"),
)

# Later prices of the models above or of new ones: the day from which they hold, then a row as above.
LATER: tuple[tuple[str, Row], ...] = ()
