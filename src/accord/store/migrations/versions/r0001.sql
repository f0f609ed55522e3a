-- The tables of version 0001, the same text on SQLite and PostgreSQL. A published version never changes.

CREATE TABLE events (
    seq BIGINT NOT NULL,
    version INTEGER NOT NULL,
    time VARCHAR(27) NOT NULL,
    actor VARCHAR(64) NOT NULL,
    type VARCHAR(64) NOT NULL,
    subject VARCHAR(200) NOT NULL,
    key VARCHAR(200),
    supersedes BIGINT,
    guideline VARCHAR(64),
    ui VARCHAR(64),
    order_seed BIGINT,
    policies TEXT NOT NULL,
    payload TEXT NOT NULL,
    prev VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (seq),
    CONSTRAINT ck_events_seq CHECK (seq >= 1),
    CONSTRAINT ck_events_supersedes CHECK (supersedes < seq),
    CONSTRAINT ck_events_order_seed CHECK (order_seed >= 0),
    CONSTRAINT uq_events_key UNIQUE (key),
    CONSTRAINT uq_events_supersedes UNIQUE (supersedes),
    CONSTRAINT fk_events_supersedes FOREIGN KEY(supersedes) REFERENCES events (seq),
    CONSTRAINT uq_events_hash UNIQUE (hash)
);

CREATE INDEX ix_events_actor ON events (actor);

CREATE INDEX ix_events_subject ON events (subject);

CREATE TABLE jobs (
    id VARCHAR(64) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    key VARCHAR(200),
    arguments TEXT NOT NULL,
    state VARCHAR(32) NOT NULL,
    priority INTEGER NOT NULL,
    made VARCHAR(27) NOT NULL,
    worker VARCHAR(64),
    fence BIGINT NOT NULL,
    leased_until VARCHAR(27),
    attempts INTEGER NOT NULL,
    done VARCHAR(27),
    result TEXT,
    error TEXT,
    CONSTRAINT pk_jobs PRIMARY KEY (id),
    CONSTRAINT ck_jobs_state CHECK (state IN ('queued', 'leased', 'done', 'failed')),
    CONSTRAINT ck_jobs_leased CHECK ((state = 'leased') = (leased_until IS NOT NULL)),
    CONSTRAINT ck_jobs_counts CHECK (attempts >= 0 AND fence >= 0),
    CONSTRAINT uq_jobs_key UNIQUE (key)
);

CREATE INDEX ix_jobs_state_kind_priority ON jobs (state, kind, priority);

CREATE TABLE log (
    one INTEGER NOT NULL,
    id VARCHAR(32) NOT NULL,
    size BIGINT NOT NULL,
    head VARCHAR(64) NOT NULL,
    CONSTRAINT pk_log PRIMARY KEY (one),
    CONSTRAINT ck_log_one CHECK (one = 1)
);

CREATE TABLE runs (
    id VARCHAR(64) NOT NULL,
    stage VARCHAR(64) NOT NULL,
    key VARCHAR(64) NOT NULL,
    state VARCHAR(32) NOT NULL,
    started VARCHAR(27) NOT NULL,
    ended VARCHAR(27),
    folder VARCHAR(1000) NOT NULL,
    settings TEXT NOT NULL,
    machine TEXT NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (id),
    CONSTRAINT ck_runs_state CHECK (state IN ('running', 'done', 'failed', 'stopped')),
    CONSTRAINT ck_runs_ended CHECK ((state = 'running') = (ended IS NULL))
);

CREATE INDEX ix_runs_key ON runs (key);

CREATE TABLE artifacts (
    id VARCHAR(64) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    made VARCHAR(27) NOT NULL,
    run VARCHAR(64),
    folder VARCHAR(1000) NOT NULL,
    manifest TEXT NOT NULL,
    log_size BIGINT,
    CONSTRAINT pk_artifacts PRIMARY KEY (id),
    CONSTRAINT fk_artifacts_run FOREIGN KEY(run) REFERENCES runs (id)
);

CREATE INDEX ix_artifacts_digest ON artifacts (digest);

CREATE TABLE checkpoints (
    size BIGINT NOT NULL,
    key_id VARCHAR(16) NOT NULL,
    root VARCHAR(64) NOT NULL,
    head VARCHAR(64) NOT NULL,
    time VARCHAR(27) NOT NULL,
    public_key VARCHAR(64) NOT NULL,
    signature VARCHAR(128) NOT NULL,
    leaves TEXT NOT NULL,
    CONSTRAINT pk_checkpoints PRIMARY KEY (size, key_id),
    CONSTRAINT fk_checkpoints_size FOREIGN KEY(size) REFERENCES events (seq)
);

CREATE TABLE guidelines (
    version VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    digest VARCHAR(64) NOT NULL,
    criteria TEXT NOT NULL,
    CONSTRAINT pk_guidelines PRIMARY KEY (version),
    CONSTRAINT uq_guidelines_seq UNIQUE (seq),
    CONSTRAINT fk_guidelines_seq FOREIGN KEY(seq) REFERENCES events (seq)
);

CREATE TABLE payloads (
    seq BIGINT NOT NULL,
    name VARCHAR(32) NOT NULL,
    salt VARCHAR(64),
    body TEXT,
    erased VARCHAR(27),
    CONSTRAINT pk_payloads PRIMARY KEY (seq, name),
    CONSTRAINT ck_payloads_erased CHECK ((body IS NULL) = (salt IS NULL) AND (body IS NULL) = (erased IS NOT NULL)),
    CONSTRAINT fk_payloads_seq FOREIGN KEY(seq) REFERENCES events (seq)
);

CREATE TABLE prompts (
    id VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    digest VARCHAR(64),
    source VARCHAR(200) NOT NULL,
    stratum VARCHAR(64),
    cluster VARCHAR(64),
    CONSTRAINT pk_prompts PRIMARY KEY (id),
    CONSTRAINT uq_prompts_seq UNIQUE (seq),
    CONSTRAINT fk_prompts_seq FOREIGN KEY(seq) REFERENCES events (seq),
    CONSTRAINT uq_prompts_digest UNIQUE (digest)
);

CREATE INDEX ix_prompts_cluster ON prompts (cluster);

CREATE TABLE raters (
    id VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    role VARCHAR(32) NOT NULL,
    state VARCHAR(32) NOT NULL,
    since VARCHAR(27) NOT NULL,
    CONSTRAINT pk_raters PRIMARY KEY (id),
    CONSTRAINT ck_raters_kind CHECK (kind IN ('human', 'synthetic', 'rule', 'model')),
    CONSTRAINT ck_raters_role CHECK (role IN ('rater', 'lead', 'admin')),
    CONSTRAINT ck_raters_state CHECK (state IN ('new', 'active', 'quarantined', 'left', 'erased')),
    CONSTRAINT uq_raters_seq UNIQUE (seq),
    CONSTRAINT fk_raters_seq FOREIGN KEY(seq) REFERENCES events (seq)
);

CREATE TABLE artifact_inputs (
    artifact VARCHAR(64) NOT NULL,
    name VARCHAR(64) NOT NULL,
    input VARCHAR(64) NOT NULL,
    CONSTRAINT pk_artifact_inputs PRIMARY KEY (artifact, name),
    CONSTRAINT ck_artifact_inputs_input CHECK (artifact <> input),
    CONSTRAINT fk_artifact_inputs_artifact FOREIGN KEY(artifact) REFERENCES artifacts (id),
    CONSTRAINT fk_artifact_inputs_input FOREIGN KEY(input) REFERENCES artifacts (id)
);

CREATE INDEX ix_artifact_inputs_input ON artifact_inputs (input);

CREATE TABLE campaigns (
    id VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    name VARCHAR(200) NOT NULL,
    state VARCHAR(32) NOT NULL,
    guideline VARCHAR(64) NOT NULL,
    responses INTEGER NOT NULL,
    overlap INTEGER NOT NULL,
    selection VARCHAR(32) NOT NULL,
    random_share FLOAT NOT NULL,
    gold_share FLOAT NOT NULL,
    repeat_share FLOAT NOT NULL,
    lease_seconds INTEGER NOT NULL,
    seed BIGINT NOT NULL,
    settings TEXT NOT NULL,
    CONSTRAINT pk_campaigns PRIMARY KEY (id),
    CONSTRAINT ck_campaigns_state CHECK (state IN ('draft', 'open', 'paused', 'closed')),
    CONSTRAINT ck_campaigns_responses CHECK (responses BETWEEN 1 AND 4),
    CONSTRAINT ck_campaigns_overlap CHECK (overlap >= 1),
    CONSTRAINT ck_campaigns_random_share CHECK (random_share BETWEEN 0.2 AND 1),
    CONSTRAINT ck_campaigns_gold_share CHECK (gold_share BETWEEN 0 AND 1),
    CONSTRAINT ck_campaigns_repeat_share CHECK (repeat_share BETWEEN 0 AND 1),
    CONSTRAINT ck_campaigns_lease_seconds CHECK (lease_seconds > 0),
    CONSTRAINT uq_campaigns_seq UNIQUE (seq),
    CONSTRAINT fk_campaigns_seq FOREIGN KEY(seq) REFERENCES events (seq),
    CONSTRAINT uq_campaigns_name UNIQUE (name),
    CONSTRAINT fk_campaigns_guideline FOREIGN KEY(guideline) REFERENCES guidelines (version)
);

CREATE TABLE identities (
    seq BIGINT NOT NULL,
    name VARCHAR(32) NOT NULL,
    rater VARCHAR(64) NOT NULL,
    salt VARCHAR(64),
    body TEXT,
    erased VARCHAR(27),
    CONSTRAINT pk_identities PRIMARY KEY (seq, name),
    CONSTRAINT ck_identities_name CHECK (name IN ('identity', 'profile')),
    CONSTRAINT ck_identities_erased CHECK ((body IS NULL) = (salt IS NULL) AND (body IS NULL) = (erased IS NOT NULL)),
    CONSTRAINT fk_identities_seq FOREIGN KEY(seq) REFERENCES events (seq),
    CONSTRAINT fk_identities_rater FOREIGN KEY(rater) REFERENCES raters (id) DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX ix_identities_rater ON identities (rater);

CREATE TABLE releases (
    seq BIGINT NOT NULL,
    alias VARCHAR(64) NOT NULL,
    artifact VARCHAR(64) NOT NULL,
    gate VARCHAR(32) NOT NULL,
    card TEXT NOT NULL,
    CONSTRAINT pk_releases PRIMARY KEY (seq),
    CONSTRAINT ck_releases_gate CHECK (gate IN ('pass', 'fail', 'inconclusive', 'none')),
    CONSTRAINT fk_releases_seq FOREIGN KEY(seq) REFERENCES events (seq),
    CONSTRAINT fk_releases_artifact FOREIGN KEY(artifact) REFERENCES artifacts (id)
);

CREATE INDEX ix_releases_alias ON releases (alias);

CREATE TABLE responses (
    id VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    prompt VARCHAR(64) NOT NULL,
    digest VARCHAR(64),
    policy VARCHAR(64),
    rater VARCHAR(64),
    edits VARCHAR(64),
    settings TEXT,
    stop VARCHAR(32) NOT NULL,
    tokens INTEGER,
    CONSTRAINT pk_responses PRIMARY KEY (id),
    CONSTRAINT ck_responses_stop CHECK (stop IN ('stop', 'length')),
    CONSTRAINT ck_responses_author CHECK (policy IS NULL OR rater IS NULL),
    CONSTRAINT uq_responses_seq UNIQUE (seq),
    CONSTRAINT fk_responses_seq FOREIGN KEY(seq) REFERENCES events (seq),
    CONSTRAINT fk_responses_prompt FOREIGN KEY(prompt) REFERENCES prompts (id),
    CONSTRAINT fk_responses_rater FOREIGN KEY(rater) REFERENCES raters (id),
    CONSTRAINT fk_responses_edits FOREIGN KEY(edits) REFERENCES responses (id)
);

CREATE INDEX ix_responses_digest ON responses (digest);

CREATE INDEX ix_responses_prompt ON responses (prompt);

CREATE TABLE tasks (
    id VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    campaign VARCHAR(64) NOT NULL,
    prompt VARCHAR(64) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    purpose VARCHAR(32) NOT NULL,
    state VARCHAR(32) NOT NULL,
    made VARCHAR(27) NOT NULL,
    priority INTEGER NOT NULL,
    overlap INTEGER NOT NULL,
    fence BIGINT NOT NULL,
    selected_by VARCHAR(32) NOT NULL,
    inclusion FLOAT NOT NULL,
    gold TEXT,
    round VARCHAR(64),
    repeats VARCHAR(64),
    for_rater VARCHAR(64),
    CONSTRAINT pk_tasks PRIMARY KEY (id),
    CONSTRAINT ck_tasks_kind CHECK (kind IN ('compare', 'demonstrate', 'edit', 'review')),
    CONSTRAINT ck_tasks_purpose CHECK (purpose IN ('work', 'gold', 'repeat', 'lesson', 'qualification', 'calibration', 'adjudication')),
    CONSTRAINT ck_tasks_state CHECK (state IN ('open', 'done', 'withdrawn')),
    CONSTRAINT ck_tasks_overlap CHECK (overlap >= 1),
    CONSTRAINT ck_tasks_fence CHECK (fence >= 0),
    CONSTRAINT ck_tasks_inclusion CHECK (inclusion > 0 AND inclusion <= 1),
    CONSTRAINT ck_tasks_gold CHECK (purpose <> 'gold' OR gold IS NOT NULL),
    CONSTRAINT ck_tasks_repeats CHECK (purpose <> 'repeat' OR repeats IS NOT NULL),
    CONSTRAINT uq_tasks_seq UNIQUE (seq),
    CONSTRAINT fk_tasks_seq FOREIGN KEY(seq) REFERENCES events (seq),
    CONSTRAINT fk_tasks_campaign FOREIGN KEY(campaign) REFERENCES campaigns (id),
    CONSTRAINT fk_tasks_prompt FOREIGN KEY(prompt) REFERENCES prompts (id),
    CONSTRAINT fk_tasks_repeats FOREIGN KEY(repeats) REFERENCES tasks (id),
    CONSTRAINT fk_tasks_for_rater FOREIGN KEY(for_rater) REFERENCES raters (id)
);

CREATE INDEX ix_tasks_campaign_state_purpose_priority_id ON tasks (campaign, state, purpose, priority, id);

CREATE INDEX ix_tasks_prompt ON tasks (prompt);

CREATE TABLE memberships (
    campaign VARCHAR(64) NOT NULL,
    rater VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    state VARCHAR(32) NOT NULL,
    since VARCHAR(27) NOT NULL,
    CONSTRAINT pk_memberships PRIMARY KEY (campaign, rater),
    CONSTRAINT ck_memberships_state CHECK (state IN ('trial', 'active', 'failed', 'paused')),
    CONSTRAINT uq_memberships_seq UNIQUE (seq),
    CONSTRAINT fk_memberships_campaign FOREIGN KEY(campaign) REFERENCES campaigns (id),
    CONSTRAINT fk_memberships_rater FOREIGN KEY(rater) REFERENCES raters (id),
    CONSTRAINT fk_memberships_seq FOREIGN KEY(seq) REFERENCES events (seq)
);

CREATE TABLE assignments (
    id VARCHAR(64) NOT NULL,
    task VARCHAR(64) NOT NULL,
    rater VARCHAR(64) NOT NULL,
    state VARCHAR(32) NOT NULL,
    fence BIGINT NOT NULL,
    leased VARCHAR(27) NOT NULL,
    leased_until VARCHAR(27) NOT NULL,
    order_seed BIGINT NOT NULL,
    shown TEXT NOT NULL,
    CONSTRAINT pk_assignments PRIMARY KEY (id),
    CONSTRAINT ck_assignments_state CHECK (state IN ('leased', 'submitted', 'late', 'skipped', 'released', 'expired')),
    CONSTRAINT ck_assignments_fence CHECK (fence >= 1),
    CONSTRAINT ck_assignments_order_seed CHECK (order_seed >= 0),
    CONSTRAINT uq_assignments_task_rater UNIQUE (task, rater),
    CONSTRAINT uq_assignments_task_fence UNIQUE (task, fence),
    CONSTRAINT fk_assignments_task FOREIGN KEY(task) REFERENCES tasks (id),
    CONSTRAINT fk_assignments_rater FOREIGN KEY(rater) REFERENCES raters (id)
);

CREATE INDEX ix_assignments_rater_state ON assignments (rater, state);

CREATE INDEX ix_assignments_state_leased_until ON assignments (state, leased_until);

CREATE TABLE task_responses (
    task VARCHAR(64) NOT NULL,
    place INTEGER NOT NULL,
    response VARCHAR(64) NOT NULL,
    CONSTRAINT pk_task_responses PRIMARY KEY (task, place),
    CONSTRAINT uq_task_responses_task_response UNIQUE (task, response),
    CONSTRAINT ck_task_responses_place CHECK (place BETWEEN 0 AND 3),
    CONSTRAINT fk_task_responses_task FOREIGN KEY(task) REFERENCES tasks (id),
    CONSTRAINT fk_task_responses_response FOREIGN KEY(response) REFERENCES responses (id)
);

CREATE INDEX ix_task_responses_response ON task_responses (response);

CREATE TABLE judgements (
    seq BIGINT NOT NULL,
    judgement VARCHAR(64) NOT NULL,
    rater VARCHAR(64) NOT NULL,
    task VARCHAR(64),
    assignment VARCHAR(64),
    verdict VARCHAR(32) NOT NULL,
    tiers TEXT,
    strength INTEGER,
    ratings TEXT,
    flags TEXT,
    reason VARCHAR(200),
    responses TEXT,
    shown TEXT,
    order_seed BIGINT,
    guideline VARCHAR(64),
    ui VARCHAR(64),
    opened VARCHAR(27),
    time VARCHAR(27) NOT NULL,
    seconds FLOAT,
    late BOOLEAN,
    supersedes BIGINT,
    superseded_by BIGINT,
    CONSTRAINT pk_judgements PRIMARY KEY (seq),
    CONSTRAINT ck_judgements_verdict CHECK (verdict IN ('ranking', 'tie', 'all_bad', 'skip', 'withdrawn', 'erased')),
    CONSTRAINT ck_judgements_shape CHECK ((verdict = 'ranking' AND tiers IS NOT NULL) OR (verdict = 'tie' AND tiers IS NOT NULL AND strength IS NULL) OR verdict = 'all_bad' OR (verdict = 'skip' AND tiers IS NULL AND strength IS NULL AND reason IS NOT NULL) OR (verdict IN ('withdrawn', 'erased') AND tiers IS NULL AND strength IS NULL)),
    CONSTRAINT ck_judgements_strength CHECK (strength BETWEEN 1 AND 4),
    CONSTRAINT ck_judgements_seconds CHECK (seconds >= 0),
    CONSTRAINT ck_judgements_supersedes CHECK (supersedes < seq),
    CONSTRAINT ck_judgements_superseded_by CHECK (superseded_by > seq),
    CONSTRAINT fk_judgements_seq FOREIGN KEY(seq) REFERENCES events (seq),
    CONSTRAINT fk_judgements_rater FOREIGN KEY(rater) REFERENCES raters (id),
    CONSTRAINT fk_judgements_task FOREIGN KEY(task) REFERENCES tasks (id),
    CONSTRAINT fk_judgements_assignment FOREIGN KEY(assignment) REFERENCES assignments (id),
    CONSTRAINT fk_judgements_guideline FOREIGN KEY(guideline) REFERENCES guidelines (version),
    CONSTRAINT uq_judgements_supersedes UNIQUE (supersedes),
    CONSTRAINT fk_judgements_supersedes FOREIGN KEY(supersedes) REFERENCES judgements (seq),
    CONSTRAINT uq_judgements_superseded_by UNIQUE (superseded_by),
    CONSTRAINT fk_judgements_superseded_by FOREIGN KEY(superseded_by) REFERENCES judgements (seq)
);

CREATE INDEX ix_judgements_assignment ON judgements (assignment);

CREATE INDEX ix_judgements_judgement ON judgements (judgement);

CREATE INDEX ix_judgements_rater ON judgements (rater);

CREATE INDEX ix_judgements_task ON judgements (task);
