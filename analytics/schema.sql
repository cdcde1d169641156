-- The warehouse: one fact table per kind of event, built from the spool and rebuilt from it at any time.
-- Money is US dollars with twelve digits after the point, as exact as the prices of single tokens and still an int64.
-- Times are UTC. There are no keys: the single ingester keeps event_id unique, and a key would double the file.

CREATE TABLE meta (schema_version INTEGER NOT NULL);

-- One attempt at a model call. Token classes are disjoint; tok_reasoning is a part of tok_output and
-- tok_cache_write_1h of tok_cache_write. cost is NULL where no price is known, never 0.
CREATE TABLE fact_call (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, logical_call_id VARCHAR, attempt_no INTEGER,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  purpose VARCHAR,           -- work, repair, review, judge, decide, summarise, retry
  provider VARCHAR, model_requested VARCHAR, model VARCHAR,
  tok_input BIGINT, tok_cache_read BIGINT, tok_cache_write BIGINT, tok_cache_write_1h BIGINT, tok_output BIGINT,
  tok_reasoning BIGINT, usage_source VARCHAR,  -- provider, estimated, none
  cost DECIMAL(18,12), cost_if_uncached DECIMAL(18,12),
  cost_status VARCHAR,       -- priced, unpriced, free
  latency_s DOUBLE, ttft_s DOUBLE,
  status VARCHAR,            -- ok, error, unknown (lost: its worst case counts), cache_hit (answered before, costs nothing)
  http_status INTEGER, error_class VARCHAR, stop_reason VARCHAR, fallback_reason VARCHAR, prompt_sha256 VARCHAR
);

-- One move of a story on the board, or the end of an attempt at it.
CREATE TABLE fact_story (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  title VARCHAR, points DOUBLE, from_status VARCHAR, to_status VARCHAR, reason VARCHAR, lane VARCHAR
);

-- One verdict of a gate: tests, review, readiness, quality, health.
CREATE TABLE fact_gate (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  gate VARCHAR, verdict VARCHAR, detail VARCHAR
);

-- One story merged into the main line.
CREATE TABLE fact_merge (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  "commit" VARCHAR, first_commit_ts VARCHAR, files INTEGER, insertions INTEGER, deletions INTEGER
);

-- One question answered.
CREATE TABLE fact_decision (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  question VARCHAR, answer VARCHAR, confidence DOUBLE, source VARCHAR, reasoning VARCHAR, escalation VARCHAR
);

-- One start or end of a run or of a phase in it.
CREATE TABLE fact_run (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  name VARCHAR, state VARCHAR, mode VARCHAR, detail VARCHAR, prefect_run VARCHAR
);

-- One release switched to, or back from.
CREATE TABLE fact_deploy (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  target VARCHAR, release VARCHAR, outcome VARCHAR, detail VARCHAR
);

-- One cap of which 50, 80 or 100 per cent are spent. spent and cap count what unit says: dollars or tokens.
CREATE TABLE fact_budget (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  scope VARCHAR, level INTEGER, unit VARCHAR, spent DOUBLE, cap DOUBLE
);

-- What one phase, one story or the whole of a run was expected to cost, in dollars, said before its work began.
CREATE TABLE fact_estimate (
  event_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
  project VARCHAR, run VARCHAR, phase VARCHAR, workflow VARCHAR, step VARCHAR, epic VARCHAR, story VARCHAR,
  agent VARCHAR, attempt INTEGER, turn INTEGER,
  part VARCHAR, name VARCHAR,  -- part: phase, story, total
  low DECIMAL(18,12), likely DECIMAL(18,12), high DECIMAL(18,12), basis VARCHAR
);

-- How far each spool file has been read. bad_lines were torn or not understood.
CREATE TABLE ingest_file (
  name VARCHAR NOT NULL, bytes BIGINT NOT NULL, lines BIGINT NOT NULL, bad_lines BIGINT NOT NULL, read_at TIMESTAMP
);

-- What is known of each story now.
CREATE VIEW dim_story AS
SELECT project, story, max(epic) AS epic, max(title) AS title, max(points) AS points,
       arg_max(to_status, ts) AS status, min(ts) FILTER (to_status = 'in-progress') AS started,
       max(ts) FILTER (to_status = 'done') AS done
FROM fact_story WHERE story <> '' GROUP BY project, story;

-- Runs against a rehearsed model: their dollars are what the recorded answers would cost.
CREATE VIEW rehearsed_run AS SELECT DISTINCT run FROM fact_run WHERE mode = 'rehearsal';

-- The calls of a project, a run and a span of time; NULL leaves a bound out.
CREATE MACRO calls(the_project, the_run, since, until) AS TABLE
SELECT * FROM fact_call
WHERE (the_project IS NULL OR project = the_project) AND (the_run IS NULL OR run = the_run)
  AND (since IS NULL OR ts >= since) AND (until IS NULL OR ts < until);

-- How many of these rows have no price: a sum over them is too small.
CREATE MACRO unpriced(cost_status, status) AS count(*) FILTER (cost_status = 'unpriced' AND status <> 'cache_hit');
