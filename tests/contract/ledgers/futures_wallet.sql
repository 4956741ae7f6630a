-- A ledger of the version that called the futures wallet FUTURES, as its SQLite file was dumped.
-- Never change it: such ledgers exist.
BEGIN TRANSACTION;
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "cursors" VALUES('ops:events',13);
INSERT INTO "cursors" VALUES('treasury_transfers/v1',13);
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until_ms REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE treasury_commit_streams (
    ledger TEXT NOT NULL,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (ledger, stream, seq),
    FOREIGN KEY (ledger, seq) REFERENCES treasury_commits (ledger, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "treasury_commit_streams" VALUES('treasury','cap/2026-11-28',1);
INSERT INTO "treasury_commit_streams" VALUES('treasury','cap/2026-11-28',3);
INSERT INTO "treasury_commit_streams" VALUES('treasury','cap/2026-11-28',4);
INSERT INTO "treasury_commit_streams" VALUES('treasury','cap/2026-11-28',6);
INSERT INTO "treasury_commit_streams" VALUES('treasury','cap/2026-11-28',7);
INSERT INTO "treasury_commit_streams" VALUES('treasury','cap/2026-11-28',9);
INSERT INTO "treasury_commit_streams" VALUES('treasury','cap/2026-11-28',11);
INSERT INTO "treasury_commit_streams" VALUES('treasury','tran/1795877336168000',3);
INSERT INTO "treasury_commit_streams" VALUES('treasury','tran/1795877336168007',6);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/done-back',4);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/done-back',5);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/done-back',6);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/done-out',1);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/done-out',2);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/done-out',3);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/failed-back',7);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/failed-back',8);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/failed-back',9);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/pending-out',11);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/pending-out',12);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/pending-out',13);
INSERT INTO "treasury_commit_streams" VALUES('treasury','transfer/rejected-out',10);
CREATE TABLE treasury_commits (
    ledger TEXT NOT NULL,
    seq INTEGER NOT NULL CHECK (seq > 0),
    commit_id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (ledger, seq),
    UNIQUE (ledger, commit_id)
) STRICT;
INSERT INTO "treasury_commits" VALUES('treasury',1,'09938d21610f46fbaed510e9224cad71','{"actor":"demo/demo","at":1795877342408,"commit_id":"09938d21610f46fbaed510e9224cad71","correlation_id":"done-out","events":[{"data":{"terms":{"accepted_at":1795877342407,"amount":"12.5","day":"2026-11-28","direction":"SPOT_TO_FUTURES","fingerprint":"d058c37c9387c1d46fcf94f6053ac1c15c15ed1d2a3b5a9742534fbba1c9ab08","limits":{"daily_cap":"50000","directions":["SPOT_TO_FUTURES","FUTURES_TO_SPOT"],"max":"10000","min":"1"},"mode":"wallet","reason":"margin"},"transfer_id":"done-out"},"id":"treasury-0000000000000001-0-aab49b93","n":0,"stream":"transfer/done-out","type":"treasury.transfer.requested","v":1,"version":1},{"data":{"amount":"12.5","cap":"50000","day":"2026-11-28","transfer_id":"done-out"},"id":"treasury-0000000000000001-1-aab49b93","n":1,"stream":"cap/2026-11-28","type":"treasury.cap.reserved","v":1,"version":1}],"hash":"145201d0c5db6859ecb7098c8c6017745ffa487fa80ca09c646b8661db767136","ledger":"treasury","prev_hash":"0000000000000000000000000000000000000000000000000000000000000000","schema":1,"seq":1,"streams":["transfer/done-out","cap/2026-11-28"]}');
INSERT INTO "treasury_commits" VALUES('treasury',2,'e3e57188d0d54c69a7ed4b34dc44d0bb','{"actor":"s1/executor","at":1795877342423,"commit_id":"e3e57188d0d54c69a7ed4b34dc44d0bb","correlation_id":"done-out","events":[{"data":{"attempt":1,"recv_window_ms":5000,"request_hash":"9ec0462ed03380caacf23ace0a46d1adc069b5c03c658229be2889f6c269643d","signed_at":1795877342429,"transfer_id":"done-out"},"id":"treasury-0000000000000002-0-e31cbb64","n":0,"stream":"transfer/done-out","type":"treasury.submission.started","v":1,"version":2}],"hash":"f8d15f6293d6353c4619baad56bc06f6fbedcba8bd67d721747565e1fd40ee03","ledger":"treasury","prev_hash":"145201d0c5db6859ecb7098c8c6017745ffa487fa80ca09c646b8661db767136","schema":1,"seq":2,"streams":["transfer/done-out"]}');
INSERT INTO "treasury_commits" VALUES('treasury',3,'58a95b5aa49b4085a944e8cec75bae3b','{"actor":"s1/executor","at":1795877342439,"commit_id":"58a95b5aa49b4085a944e8cec75bae3b","correlation_id":"done-out","events":[{"data":{"at":1795877342428,"attempt":1,"evidence":"reply","note":"","tran_id":"1795877336168000","transfer_id":"done-out"},"id":"treasury-0000000000000003-0-2874109f","n":0,"stream":"transfer/done-out","type":"treasury.transfer.completed","v":1,"version":3},{"data":{"amount":"12.5","day":"2026-11-28","transfer_id":"done-out"},"id":"treasury-0000000000000003-1-2874109f","n":1,"stream":"cap/2026-11-28","type":"treasury.cap.settled","v":1,"version":2},{"data":{"tran_id":"1795877336168000","transfer_id":"done-out"},"id":"treasury-0000000000000003-2-2874109f","n":2,"stream":"tran/1795877336168000","type":"treasury.movement.claimed","v":1,"version":1}],"hash":"da4040a4536a65dc3841537dd0d478168418beb6efc6d91c18dfefe9999f79ba","ledger":"treasury","prev_hash":"f8d15f6293d6353c4619baad56bc06f6fbedcba8bd67d721747565e1fd40ee03","schema":1,"seq":3,"streams":["transfer/done-out","cap/2026-11-28","tran/1795877336168000"]}');
INSERT INTO "treasury_commits" VALUES('treasury',4,'0f6fa8fa8a304895b48e08198d5f7179','{"actor":"demo/demo","at":1795877342452,"commit_id":"0f6fa8fa8a304895b48e08198d5f7179","correlation_id":"done-back","events":[{"data":{"terms":{"accepted_at":1795877342452,"amount":"3","day":"2026-11-28","direction":"FUTURES_TO_SPOT","fingerprint":"4193826d79843644bc989c6a4660534d45582ae60149696786aeeaafe70436dd","limits":{"daily_cap":"50000","directions":["SPOT_TO_FUTURES","FUTURES_TO_SPOT"],"max":"10000","min":"1"},"mode":"wallet","reason":""},"transfer_id":"done-back"},"id":"treasury-0000000000000004-0-98bb6164","n":0,"stream":"transfer/done-back","type":"treasury.transfer.requested","v":1,"version":1},{"data":{"amount":"3","cap":"50000","day":"2026-11-28","transfer_id":"done-back"},"id":"treasury-0000000000000004-1-98bb6164","n":1,"stream":"cap/2026-11-28","type":"treasury.cap.reserved","v":1,"version":3}],"hash":"a08f6a7de0e8a4b8ba4de5c82734f21b64ff0192a9c3689e275f4fb09059c0bd","ledger":"treasury","prev_hash":"da4040a4536a65dc3841537dd0d478168418beb6efc6d91c18dfefe9999f79ba","schema":1,"seq":4,"streams":["transfer/done-back","cap/2026-11-28"]}');
INSERT INTO "treasury_commits" VALUES('treasury',5,'d8166d636be74bc3a7d1e30f29d20634','{"actor":"s1/executor","at":1795877342459,"commit_id":"d8166d636be74bc3a7d1e30f29d20634","correlation_id":"done-back","events":[{"data":{"attempt":1,"recv_window_ms":5000,"request_hash":"364eb5cf6035f90cd9e50346b45db85fdbe7207aa496ad170cd1f9aeed575269","signed_at":1795877342465,"transfer_id":"done-back"},"id":"treasury-0000000000000005-0-6dfc585d","n":0,"stream":"transfer/done-back","type":"treasury.submission.started","v":1,"version":2}],"hash":"7aba1b490896a5320733964d4db0c8e710b9a7d7c6ae6f3425b3adc857f45475","ledger":"treasury","prev_hash":"a08f6a7de0e8a4b8ba4de5c82734f21b64ff0192a9c3689e275f4fb09059c0bd","schema":1,"seq":5,"streams":["transfer/done-back"]}');
INSERT INTO "treasury_commits" VALUES('treasury',6,'8b834a3e24a449b28a9fa7a21cdd600a','{"actor":"s1/executor","at":1795877342480,"commit_id":"8b834a3e24a449b28a9fa7a21cdd600a","correlation_id":"done-back","events":[{"data":{"at":1795877342475,"attempt":1,"evidence":"reply","note":"","tran_id":"1795877336168007","transfer_id":"done-back"},"id":"treasury-0000000000000006-0-1030febe","n":0,"stream":"transfer/done-back","type":"treasury.transfer.completed","v":1,"version":3},{"data":{"amount":"3","day":"2026-11-28","transfer_id":"done-back"},"id":"treasury-0000000000000006-1-1030febe","n":1,"stream":"cap/2026-11-28","type":"treasury.cap.settled","v":1,"version":4},{"data":{"tran_id":"1795877336168007","transfer_id":"done-back"},"id":"treasury-0000000000000006-2-1030febe","n":2,"stream":"tran/1795877336168007","type":"treasury.movement.claimed","v":1,"version":1}],"hash":"a729592bebd189d8fc9ef58d68027c68108d0b20bca7eaa9d0bcdfbb89add9e0","ledger":"treasury","prev_hash":"7aba1b490896a5320733964d4db0c8e710b9a7d7c6ae6f3425b3adc857f45475","schema":1,"seq":6,"streams":["transfer/done-back","cap/2026-11-28","tran/1795877336168007"]}');
INSERT INTO "treasury_commits" VALUES('treasury',7,'3e9b7ba051204608975decd94bdeee3e','{"actor":"demo/demo","at":1795877342533,"commit_id":"3e9b7ba051204608975decd94bdeee3e","correlation_id":"failed-back","events":[{"data":{"terms":{"accepted_at":1795877342533,"amount":"7","day":"2026-11-28","direction":"FUTURES_TO_SPOT","fingerprint":"2fb22f8463f26babf35d6528610355fe870a2bf801d010f7c2c7ad67415fa06a","limits":{"daily_cap":"50000","directions":["SPOT_TO_FUTURES","FUTURES_TO_SPOT"],"max":"10000","min":"1"},"mode":"wallet","reason":""},"transfer_id":"failed-back"},"id":"treasury-0000000000000007-0-38e2d8b8","n":0,"stream":"transfer/failed-back","type":"treasury.transfer.requested","v":1,"version":1},{"data":{"amount":"7","cap":"50000","day":"2026-11-28","transfer_id":"failed-back"},"id":"treasury-0000000000000007-1-38e2d8b8","n":1,"stream":"cap/2026-11-28","type":"treasury.cap.reserved","v":1,"version":5}],"hash":"34dbc46b543447aabb76eae6e8e53f2cbb31624e706d68cb9e19144376944076","ledger":"treasury","prev_hash":"a729592bebd189d8fc9ef58d68027c68108d0b20bca7eaa9d0bcdfbb89add9e0","schema":1,"seq":7,"streams":["transfer/failed-back","cap/2026-11-28"]}');
INSERT INTO "treasury_commits" VALUES('treasury',8,'a2437ef308c5438ab07342abd875d250','{"actor":"s1/executor","at":1795877342543,"commit_id":"a2437ef308c5438ab07342abd875d250","correlation_id":"failed-back","events":[{"data":{"attempt":1,"recv_window_ms":5000,"request_hash":"b0ea0230e31ad3233189aa75ab5ca0f206ff842d7b4c46f7c50a0bce423cacf5","signed_at":1795877342549,"transfer_id":"failed-back"},"id":"treasury-0000000000000008-0-66534bd5","n":0,"stream":"transfer/failed-back","type":"treasury.submission.started","v":1,"version":2}],"hash":"652dadaa2bc664488bfb18be282fb6695f381d0518ecba346aaf35877be34398","ledger":"treasury","prev_hash":"34dbc46b543447aabb76eae6e8e53f2cbb31624e706d68cb9e19144376944076","schema":1,"seq":8,"streams":["transfer/failed-back"]}');
INSERT INTO "treasury_commits" VALUES('treasury',9,'6e409145309649b3a0dd4608a2bca98c','{"actor":"s1/executor","at":1795877342552,"commit_id":"6e409145309649b3a0dd4608a2bca98c","correlation_id":"failed-back","events":[{"data":{"at":1795877342552,"attempt":1,"kind":"refused","message":"400 -5013 Asset transfer failed: insufficient balance","reads":[],"transfer_id":"failed-back"},"id":"treasury-0000000000000009-0-ddb529ac","n":0,"stream":"transfer/failed-back","type":"treasury.transfer.failed","v":1,"version":3},{"data":{"amount":"7","day":"2026-11-28","transfer_id":"failed-back"},"id":"treasury-0000000000000009-1-ddb529ac","n":1,"stream":"cap/2026-11-28","type":"treasury.cap.released","v":1,"version":6}],"hash":"a3df56b2d5661edd69da67dc66832d71c2c01460829415361edfaed7be849e48","ledger":"treasury","prev_hash":"652dadaa2bc664488bfb18be282fb6695f381d0518ecba346aaf35877be34398","schema":1,"seq":9,"streams":["transfer/failed-back","cap/2026-11-28"]}');
INSERT INTO "treasury_commits" VALUES('treasury',10,'0ce1bfad75c34e49a7c9e41b3b58a5c4','{"actor":"demo/demo","at":1795877342580,"commit_id":"0ce1bfad75c34e49a7c9e41b3b58a5c4","correlation_id":"rejected-out","events":[{"data":{"message":"0.5 USDT is below the smallest amount, 1","rule":"below_min","terms":{"accepted_at":1795877342579,"amount":"0.5","day":"2026-11-28","direction":"SPOT_TO_FUTURES","fingerprint":"d31d66229628c077a924ee590ba48d0eb6712a3373765ddfd3a3e66ff1527ed9","limits":{"daily_cap":"50000","directions":["SPOT_TO_FUTURES","FUTURES_TO_SPOT"],"max":"10000","min":"1"},"mode":"wallet","reason":""},"transfer_id":"rejected-out"},"id":"treasury-0000000000000010-0-4c577a2e","n":0,"stream":"transfer/rejected-out","type":"treasury.transfer.rejected","v":1,"version":1}],"hash":"47ad259e50666717d5bc87e14b3b82b81b98f893db2d2314a46e9e24bd1efe95","ledger":"treasury","prev_hash":"a3df56b2d5661edd69da67dc66832d71c2c01460829415361edfaed7be849e48","schema":1,"seq":10,"streams":["transfer/rejected-out"]}');
INSERT INTO "treasury_commits" VALUES('treasury',11,'0ee07d02a1284cf6bdf6e8e416df68d4','{"actor":"demo/demo","at":1795877342630,"commit_id":"0ee07d02a1284cf6bdf6e8e416df68d4","correlation_id":"pending-out","events":[{"data":{"terms":{"accepted_at":1795877342629,"amount":"9","day":"2026-11-28","direction":"SPOT_TO_FUTURES","fingerprint":"a0ca8128eb7d0e5b06c2e462cf718c82138ec8db5010bead907d876cd3284939","limits":{"daily_cap":"50000","directions":["SPOT_TO_FUTURES","FUTURES_TO_SPOT"],"max":"10000","min":"1"},"mode":"wallet","reason":"late margin"},"transfer_id":"pending-out"},"id":"treasury-0000000000000011-0-512bc395","n":0,"stream":"transfer/pending-out","type":"treasury.transfer.requested","v":1,"version":1},{"data":{"amount":"9","cap":"50000","day":"2026-11-28","transfer_id":"pending-out"},"id":"treasury-0000000000000011-1-512bc395","n":1,"stream":"cap/2026-11-28","type":"treasury.cap.reserved","v":1,"version":7}],"hash":"3c0666470c2445e4014defa64a880ab3462ce3ecc941afcb628a781e472de75a","ledger":"treasury","prev_hash":"47ad259e50666717d5bc87e14b3b82b81b98f893db2d2314a46e9e24bd1efe95","schema":1,"seq":11,"streams":["transfer/pending-out","cap/2026-11-28"]}');
INSERT INTO "treasury_commits" VALUES('treasury',12,'6108d7477d9b407f91c37b86212a1f07','{"actor":"s1/executor","at":1795877342640,"commit_id":"6108d7477d9b407f91c37b86212a1f07","correlation_id":"pending-out","events":[{"data":{"attempt":1,"recv_window_ms":5000,"request_hash":"1f52cf3bab74f97245386004083d225003473e4f20d097b31b13f27a1fa17195","signed_at":1795877342645,"transfer_id":"pending-out"},"id":"treasury-0000000000000012-0-cf6b42d8","n":0,"stream":"transfer/pending-out","type":"treasury.submission.started","v":1,"version":2}],"hash":"84b3103beb66b9dc6014606a2c4f931e3d46813c60a74d72c74bd851a3c9fc79","ledger":"treasury","prev_hash":"3c0666470c2445e4014defa64a880ab3462ce3ecc941afcb628a781e472de75a","schema":1,"seq":12,"streams":["transfer/pending-out"]}');
INSERT INTO "treasury_commits" VALUES('treasury',13,'23887575ce6148c0b620d480d34d43a0','{"actor":"s1/executor","at":1795877342649,"commit_id":"23887575ce6148c0b620d480d34d43a0","correlation_id":"pending-out","events":[{"data":{"at":1795877342649,"attempt":1,"cause":"RemoteProtocolError: Server disconnected without sending a response.","transfer_id":"pending-out"},"id":"treasury-0000000000000013-0-9bda6720","n":0,"stream":"transfer/pending-out","type":"treasury.outcome.unknown","v":1,"version":3}],"hash":"6a22aad2f2397e09748697e6d5726a3cd6e16f49e8ea7c913b2ba7f7d7563916","ledger":"treasury","prev_hash":"84b3103beb66b9dc6014606a2c4f931e3d46813c60a74d72c74bd851a3c9fc79","schema":1,"seq":13,"streams":["transfer/pending-out"]}');
CREATE TABLE treasury_transfers (
    transfer_id TEXT PRIMARY KEY,
    "from" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    asset TEXT NOT NULL,
    amount TEXT NOT NULL,
    amount_usdt REAL NOT NULL,
    reason TEXT NOT NULL,
    status TEXT NOT NULL,
    phase TEXT NOT NULL,
    tran_id TEXT NOT NULL,
    message TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    actor TEXT NOT NULL,
    verified INTEGER NOT NULL,
    disputed INTEGER NOT NULL,
    corrected INTEGER NOT NULL,
    in_review INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    applied_seq INTEGER NOT NULL
) STRICT;
INSERT INTO "treasury_transfers" VALUES('done-out','SPOT','FUTURES','USDT','12.5',12.5,'margin','DONE','done','1795877336168000','',1,'demo/demo',0,0,0,0,1795877342407,1795877342439,3);
INSERT INTO "treasury_transfers" VALUES('done-back','FUTURES','SPOT','USDT','3',3.0,'','DONE','done','1795877336168007','',1,'demo/demo',0,0,0,0,1795877342452,1795877342480,6);
INSERT INTO "treasury_transfers" VALUES('failed-back','FUTURES','SPOT','USDT','7',7.0,'','FAILED','failed','','400 -5013 Asset transfer failed: insufficient balance',1,'demo/demo',0,0,0,0,1795877342533,1795877342552,9);
INSERT INTO "treasury_transfers" VALUES('rejected-out','SPOT','FUTURES','USDT','0.5',0.5,'','FAILED','rejected','','0.5 USDT is below the smallest amount, 1',0,'demo/demo',0,0,0,0,1795877342579,1795877342580,10);
INSERT INTO "treasury_transfers" VALUES('pending-out','SPOT','FUTURES','USDT','9',9.0,'late margin','PENDING','unknown','','outcome unknown, reconciling: RemoteProtocolError: Server disconnected without sending a response.',1,'demo/demo',0,0,0,0,1795877342629,1795877342649,13);
CREATE TRIGGER treasury_commits_never_change BEFORE UPDATE ON treasury_commits
BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;
CREATE TRIGGER treasury_commits_never_go BEFORE DELETE ON treasury_commits
BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;
CREATE TRIGGER treasury_commit_streams_never_change BEFORE UPDATE ON treasury_commit_streams
BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;
CREATE TRIGGER treasury_commit_streams_never_go BEFORE DELETE ON treasury_commit_streams
BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;
CREATE INDEX treasury_transfers_by_age ON treasury_transfers (created_at, transfer_id);
CREATE INDEX treasury_transfers_by_status
    ON treasury_transfers (status, created_at, transfer_id);
COMMIT;
PRAGMA application_id = 1129525601;
PRAGMA user_version = 1;
