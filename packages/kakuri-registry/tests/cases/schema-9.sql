-- What the ninth schema left behind: written once, by that schema, and not to be changed.
PRAGMA application_id = 1262570325;
PRAGMA user_version = 9;
CREATE TABLE events (
        "index" INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        events TEXT NOT NULL
    );
INSERT INTO "events" VALUES(1,'','1
1.0
node




0


=0.2.0');
INSERT INTO "events" VALUES(2,'wl-run','2
1000.0
workload 4bf92f3577b34da6a3ce929d0e0e4736
pending



0

team\nx
');
INSERT INTO "events" VALUES(3,'wl-gone','3
1001.0
workload
pending



0


');
INSERT INTO "events" VALUES(4,'wl-run','4
1002.0
workload 4bf92f3577b34da6a3ce929d0e0e4736
running
=Why
=line\nline

0

team\nx
');
INSERT INTO "events" VALUES(5,'wl-gone','5
1003.0
desired
pending



0
remove

');
INSERT INTO "events" VALUES(6,'wl-gone','6
1004.0
removed
pending



0


');
CREATE TABLE registry (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            version INTEGER NOT NULL,
            session INTEGER,
            replaced INTEGER,
            compacted INTEGER NOT NULL DEFAULT 0
        , identity TEXT);
INSERT INTO "registry" VALUES(1,6,NULL,NULL,0,'bc890714aeb34818cdd9d3784340e673');
CREATE TABLE tombstones (
        
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER,
    state TEXT,
    registered_at REAL,
    changed_at REAL,
    reason TEXT,
    message TEXT,
    exit_code INTEGER,
    address TEXT,
    started_at REAL,
    ended_at REAL,
    attempt INTEGER,
    restart_at REAL,
    wanted TEXT,
    grace_seconds INTEGER,
    image TEXT,
    runtime_class TEXT,
    memory_mb INTEGER,
    cpu_millicores INTEGER,
    command TEXT,
    args TEXT,
    env TEXT,
    working_dir TEXT,
    "user" TEXT,
    labels TEXT,
    restart_policy TEXT,
    max_restarts INTEGER,
    history TEXT,

        failures INTEGER,
        pull TEXT,
        image_digest TEXT,
        removed_at REAL,
        zone TEXT,
        container TEXT,
        log_bytes INTEGER,
        verified_by TEXT,
        log BLOB
    , trace TEXT);
CREATE TABLE workloads (
            
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER,
    state TEXT,
    registered_at REAL,
    changed_at REAL,
    reason TEXT,
    message TEXT,
    exit_code INTEGER,
    address TEXT,
    started_at REAL,
    ended_at REAL,
    attempt INTEGER,
    restart_at REAL,
    wanted TEXT,
    grace_seconds INTEGER,
    image TEXT,
    runtime_class TEXT,
    memory_mb INTEGER,
    cpu_millicores INTEGER,
    command TEXT,
    args TEXT,
    env TEXT,
    working_dir TEXT,
    "user" TEXT,
    labels TEXT,
    restart_policy TEXT,
    max_restarts INTEGER,
    history TEXT,

            failures INTEGER NOT NULL DEFAULT 0,
            pull TEXT,
            image_digest TEXT,
            events TEXT
        , trace TEXT);
INSERT INTO "workloads" VALUES(1,'wl-run',4,'running',1000.0,1002.0,'Why','line
line',NULL,NULL,1001.5,NULL,0,NULL,'run',0,'nginx:latest','edera-zone',512,500,'sh
-c','two\nlines
\\','A
1','/srv','1000:0','team
x','always',7,'1002.0
running
0
=Why
=line\nline
',0,'never',NULL,'4
1002.0
workload 4bf92f3577b34da6a3ce929d0e0e4736
running
=Why
=line\nline

0

team\nx
','4bf92f3577b34da6a3ce929d0e0e4736');
CREATE TRIGGER registered AFTER INSERT ON workloads WHEN new.events IS NOT NULL BEGIN
        
        INSERT INTO events SELECT new.version, new.id, new.events
            WHERE NOT EXISTS (SELECT 1 FROM events WHERE "index" = new.version);
    END;
CREATE TRIGGER changed AFTER UPDATE ON workloads WHEN new.events IS NOT NULL BEGIN
        
        INSERT INTO events SELECT new.version, new.id, new.events
            WHERE NOT EXISTS (SELECT 1 FROM events WHERE "index" = new.version);
    END;
