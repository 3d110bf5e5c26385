-- What the first schema left behind: written once, by that schema, and not to be changed.
PRAGMA application_id = 1262570325;
PRAGMA user_version = 1;
CREATE TABLE registry (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL);
INSERT INTO registry VALUES (1, 41);
CREATE TABLE workloads (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER, state TEXT,
    registered_at REAL, changed_at REAL, reason TEXT, message TEXT, exit_code INTEGER,
    pod_sandbox_id TEXT, container_id TEXT, address TEXT, started_at REAL, ended_at REAL,
    attempt INTEGER, restart_at REAL, wanted TEXT, grace_seconds INTEGER, image TEXT,
    runtime_class TEXT, memory_mb INTEGER, cpu_millicores INTEGER, command TEXT, args TEXT,
    env TEXT, working_dir TEXT, "user" TEXT, labels TEXT, restart_policy TEXT, max_restarts INTEGER
);
INSERT INTO workloads VALUES (
    1, 'wl-old', 40, 'running', 1000.0, 1001.5, NULL, NULL, NULL, 'sandbox', 'container',
    '10.0.0.2', 1001.0, NULL, 0, NULL, 'run', 0, 'nginx:latest', 'edera-zone', 512, 500, NULL,
    'two' || char(10) || 'words', 'A' || char(10) || '1', NULL, NULL, NULL, 'always', 100
);
