-- The first schema. Texts that identify something are here as hashes (hash.go), because an index entry of PostgreSQL's
-- ends at 2.7 KB and an id may have 4 KiB.

-- One row. seq: the order of arrival of the newest event. Who writes holds a lock on the row until the commit, so the
-- order of seq is the order of commits and has no gaps. cutoff: what is older has passed the retention, and is not shown.
CREATE TABLE audit_meta (
	one    boolean PRIMARY KEY DEFAULT true CHECK (one),
	seq    bigint NOT NULL DEFAULT 0,
	epoch  text NOT NULL DEFAULT left(replace(gen_random_uuid()::text, '-', ''), 12), -- tells one database's order from another's
	cutoff timestamptz NOT NULL DEFAULT 'epoch'
) WITH (fillfactor = 50);
INSERT INTO audit_meta DEFAULT VALUES;

CREATE TABLE audit_events (
	at         timestamptz NOT NULL, -- of the decision
	seq        bigint NOT NULL,      -- order of arrival
	id         bigint NOT NULL,      -- a hash
	source     bigint NOT NULL,      -- a hash
	outcome    text NOT NULL,
	superseded boolean NOT NULL,     -- there is a final verdict, a mark only
	pod        text NOT NULL,        -- as store.PodKey spells it
	mutation   bigint,               -- a hash of the stamp of a validated event's Pod
	uid        text,                 -- of such a Pod
	words      bigint[] NOT NULL,    -- what filters go by
	item       bytea NOT NULL,       -- JSON, what lists show
	event      bytea NOT NULL,       -- JSON, as it came
	PRIMARY KEY (at, seq),
	UNIQUE (id, source, at)
) PARTITION BY RANGE (at);
CREATE INDEX audit_events_seq ON audit_events (seq);
CREATE INDEX audit_events_words ON audit_events USING gin (words);
CREATE INDEX audit_events_mutation ON audit_events (mutation, at, seq) WHERE mutation IS NOT NULL;
-- Holds what no day's partition is for: a sender may name any time.
CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;

-- The values that a reader may choose from, each once. last: the time of a late event with it, an hour off at most.
CREATE TABLE audit_terms (
	kind   text NOT NULL,
	hash   bigint NOT NULL,
	value  text NOT NULL,
	folded text NOT NULL, -- in lower case, as Go does it
	last   timestamptz NOT NULL,
	PRIMARY KEY (kind, hash)
);
CREATE INDEX audit_terms_last ON audit_terms (kind, last);

-- The charts' sums. res: seconds of a bucket; endpoint 0: all of them.
CREATE TABLE audit_counts (
	res     integer NOT NULL,
	bucket  bigint NOT NULL,
	outcome text NOT NULL,
	n       bigint NOT NULL,
	PRIMARY KEY (res, bucket, outcome)
) WITH (fillfactor = 70);
CREATE TABLE audit_latencies (
	res      integer NOT NULL,
	endpoint bigint NOT NULL,
	bucket   bigint NOT NULL,
	errors   bigint NOT NULL,
	hist     bytea NOT NULL, -- as store.Histogram encodes it
	PRIMARY KEY (res, endpoint, bucket)
) WITH (fillfactor = 70);
CREATE INDEX audit_latencies_bucket ON audit_latencies (bucket);
