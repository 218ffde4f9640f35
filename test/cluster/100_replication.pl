# Given a shop's table that is published and a finance database that reads it,
# when the shop does everything that a shop does to its rows,
# then the entries are as the rows, and whatever cannot be is said in words.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use ShopAndFinance;
use Test::More;

my ($shop, $finance) = shop_and_finance();

$shop->safe_psql('shop', q{INSERT INTO payments SELECT i, '1', 'o' || i, i * 100, 2 FROM generate_series(1, 500) i});
create_source($finance, $shop);
ok(wait_for_equality($shop, $finance), 'rows that exist are copied');
ok(wait_for_state($finance, 'running'), 'then the source streams');
is($finance->safe_psql('finance', 'SELECT channels FROM reconcile.source_status'), '{alipay}',
    'its channels are those of the mapping');

$shop->safe_psql('shop', q{
    INSERT INTO payments SELECT i, '1', 'o' || i, i, 1 FROM generate_series(501, 600) i;
    UPDATE payments SET state = 2 WHERE id BETWEEN 501 AND 550;
    UPDATE payments SET id = id + 10000 WHERE id BETWEEN 551 AND 560;
    DELETE FROM payments WHERE id <= 10;
    INSERT INTO unrelated VALUES (1);
    BEGIN; INSERT INTO payments VALUES (7777, '1', 'never', 1, 2); ROLLBACK;
    BEGIN; DELETE FROM payments WHERE id = 20; INSERT INTO payments VALUES (20, '1', 'again', 5, 2); COMMIT;
});
ok(wait_for_equality($shop, $finance), 'inserts, updates, deletes, changes of the key');

$shop->safe_psql('shop', q{INSERT INTO payments VALUES (10, '1', 'back', 42, 2)});
ok(wait_for_equality($shop, $finance), 'a deleted row that comes back');

$shop->safe_psql('shop', q{
    UPDATE payments SET note = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500) i) WHERE id = 30;
    UPDATE payments SET state = 3 WHERE id = 30});
ok(wait_for_equality($shop, $finance), 'an update that leaves a long unmapped value out');

# A time that the shop's clock has passed is passed here too, although nothing happens.
my $time = $shop->safe_psql('shop', 'SELECT clock_timestamp()');
ok(wait_for_query($finance, 'finance', "SELECT source_time > '$time' FROM reconcile.source_status", 't', 30),
    'source_time goes on while the source is quiet');
is($finance->safe_psql('finance', 'SELECT count(*) FROM reconcile.source_status WHERE lag_bytes IS NOT NULL'), '1',
    'the lag is known');

# Rows that cannot become entries.
$shop->safe_psql('shop', q{
    INSERT INTO payments VALUES (8001, '9', 'o8001', 1, 2), (8002, '1', 'o8002', 2, 7);
    INSERT INTO payments VALUES (8003, '1', 'o8003', 3, 2, '2399-01-01')});
ok(wait_for_query($finance, 'finance', q{
    SELECT string_agg(source_key, ',' ORDER BY source_key) FROM reconcile.source_error},
    'public.payments/8001,public.payments/8002,public.payments/8003'), 'they are in quarantine');
like($finance->safe_psql('finance', q{
    SELECT reason || raw::text FROM reconcile.source_error WHERE source_key = 'public.payments/8001'}),
    qr/channel.*pay_channel.*9.*o8001/s, 'with field, column, value and the row');
is($finance->safe_psql('finance', q{
    SELECT operation, raw ->> 'order_no', raw ->> 'amount_fen', left(raw ->> 'paid_at', 10), raw ? 'note', reason
    FROM reconcile.source_error WHERE source_key = 'public.payments/8003'}) =~ s/\d{4}-\d\d-\d\d is more/DAY is more/r,
    'insert|o8003|3|2399-01-01|t|DAY is more than 40 days ahead', 'also a row that the tables refuse, with what was done to it');
is($finance->safe_psql('finance', 'SELECT state, quarantined_rows FROM reconcile.source_status'), 'running|3',
    'and the stream goes on');
$shop->safe_psql('shop', q{
    BEGIN; UPDATE payments SET paid_at = '2398-01-01' WHERE id = 8003; UPDATE payments SET paid_at = '2397-01-01' WHERE id = 8003; COMMIT});
ok(wait_for_query($finance, 'finance', q{
    SELECT string_agg(operation || ' ' || left(raw ->> 'paid_at', 10), ', ' ORDER BY source_error_id)
    FROM reconcile.source_error WHERE source_key = 'public.payments/8003'},
    'insert 2399-01-01, update 2397-01-01'), 'of several changes in a batch, the last is kept');
$shop->safe_psql('shop', 'DELETE FROM payments WHERE id BETWEEN 8001 AND 8003');
ok(wait_for_equality($shop, $finance), 'their deletion harms nothing');
ok(wait_for_query($finance, 'finance', q{
    SELECT string_agg(concat_ws(' ', right(source_key, 4), operation, stage, committed_at IS NOT NULL, settled_at IS NOT NULL), ', ' ORDER BY source_error_id)
    FROM reconcile.source_error},
    '8001 insert mapping t t, 8002 insert mapping t t, 8003 insert placing t t, 8003 update placing t t'), 'and settles them');
$shop->safe_psql('shop', q{
    BEGIN; INSERT INTO payments VALUES (8005, '1', 'o8005', 5, 7); UPDATE payments SET state = 2 WHERE id = 8005; COMMIT;
    BEGIN; INSERT INTO payments VALUES (8006, '1', 'o8006', 6, 2); UPDATE payments SET state = 7 WHERE id = 8006; COMMIT;
    INSERT INTO payments VALUES (8007, '1', 'o8007', 7, 7)});
my $settled = q{SELECT string_agg(concat_ws(' ', right(source_key, 4), operation, settled_at IS NOT NULL), ', ' ORDER BY source_key) FROM reconcile.source_error WHERE source_key > 'public.payments/8003'};
ok(wait_for_query($finance, 'finance', $settled, '8005 insert t, 8006 update f, 8007 insert f'), 'within a batch what came last counts');
$shop->safe_psql('shop', 'UPDATE payments SET state = 2 WHERE id = 8006');
ok(wait_for_query($finance, 'finance', $settled, '8005 insert t, 8006 update t, 8007 insert f'), 'a later version that is taken in settles the row');
# Gone while nobody looked: only reading the whole table again can tell.
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('shop payments')});
ok(wait_for_query($finance, 'finance', q{SELECT count(*) FROM reconcile.source_status WHERE pid IS NOT NULL}, '0'), 'paused');
$shop->safe_psql('shop', 'DELETE FROM payments WHERE id >= 8005 AND id < 9000');
$finance->safe_psql('finance', q{SELECT reconcile.resync_source('shop payments')});
ok(wait_for_query($finance, 'finance', $settled, '8005 insert t, 8006 update t, 8007 insert t'), 'a resync settles what is gone');
ok(wait_for_equality($shop, $finance), 'and the books are as the shop');

# A mapping that is mended.
$shop->safe_psql('shop', q{INSERT INTO payments VALUES (8004, '1', 'o8004', 4, 7)});
ok(wait_for_query($finance, 'finance', q{SELECT count(*) FROM reconcile.source_error WHERE source_key LIKE '%/8004'}, '1'),
    'a state that nobody has mapped');
$finance->safe_psql('finance', q{
    SELECT reconcile.change_source_mapping('shop payments', jsonb_set(mapping, '{status,map,7}', '"success"'))
    FROM reconcile.source; SELECT reconcile.resync_source('shop payments')});
ok(wait_for_query($finance, 'finance', q{SELECT status FROM reconcile.entry WHERE source_key LIKE '%/8004'}, 'success', 60),
    'mapped and resynced it is an entry');
$shop->safe_psql('shop', 'DELETE FROM payments WHERE id = 8004');
ok(wait_for_equality($shop, $finance), 'and nothing else has changed');

# Pause and resume.
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('shop payments')});
ok(wait_for_query($finance, 'finance', q{SELECT state, pid IS NULL FROM reconcile.source_status}, 'paused|t'), 'paused');
$shop->safe_psql('shop', q{INSERT INTO payments VALUES (9001, '1', 'o9001', 1, 2)});
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('shop payments')});
ok(wait_for_equality($shop, $finance), 'resumed, it goes on where it was');

# TRUNCATE.
$shop->safe_psql('shop', q{TRUNCATE payments; INSERT INTO payments VALUES (1, '1', 'new', 1, 2)});
ok(wait_for_equality($shop, $finance), 'TRUNCATE removes the entries');

# A mapped column that disappears.
$shop->safe_psql('shop', q{ALTER TABLE payments RENAME COLUMN state TO status; INSERT INTO payments VALUES (2, '1', 'o2', 1, 2)});
ok(wait_for_state($finance, 'paused'), 'a mapped column that disappears pauses the source');
like($finance->safe_psql('finance', 'SELECT message FROM reconcile.source_status'),
    qr/no longer sends column "state"/, 'with its name');
$shop->safe_psql('shop', q{ALTER TABLE payments RENAME COLUMN status TO state});
$finance->safe_psql('finance', q{SELECT reconcile.resync_source('shop payments')});
ok(wait_for_equality($shop, $finance), 'resync_source reads the table again');
ok(wait_for_state($finance, 'running'), 'and streams');

# A slot that is gone.
sub drop_slot_at_source {
    $finance->safe_psql('finance', q{SELECT reconcile.pause_source('shop payments')});
    wait_for_query($finance, 'finance', q{SELECT pid IS NULL FROM reconcile.source_status}, 't');
    wait_for_query($shop, 'shop', 'SELECT bool_or(active) FROM pg_replication_slots', 'f');
    $shop->safe_psql('shop', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
}
drop_slot_at_source();
$shop->safe_psql('shop', q{INSERT INTO payments VALUES (3, '1', 'o3', 1, 2); DELETE FROM payments WHERE id = 1});
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('shop payments')});
ok(wait_for_state($finance, 'slot_lost'), 'a slot that is gone is noticed');
my $cause = q{SELECT v.cause, t.cause FROM reconcile.source_status v JOIN reconcile.source_state t USING (source_id)};
is($finance->safe_psql('finance', $cause), 'worker|worker', 'the worker stopped it');
like($finance->safe_psql('finance', 'SELECT message FROM reconcile.source_status'), qr/resync_source/, 'with a hint');
$finance->safe_psql('finance', q{SELECT reconcile.resync_source('shop payments')});
ok(wait_for_equality($shop, $finance), 'resync_source mends what was missed: one row more, one less');

# Our side goes back in time: what the slot has confirmed is not stored here.
ok(wait_for_state($finance, 'running'), 'running again');
is($finance->safe_psql('finance', $cause), '|', 'nobody stopped it');
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('shop payments')});
wait_for_query($finance, 'finance', q{SELECT pid IS NULL FROM reconcile.source_status}, 't');
ok(wait_for_query($finance, 'finance', $cause, 'pause_source|pause_source'), 'pause_source stopped it');
# What the state says in words means nothing to the supervisor.
$finance->safe_psql('finance', q{UPDATE reconcile.source_state SET message = 'in other words'});
$finance->safe_psql('finance', q{UPDATE reconcile.source_position SET position = '0/1'});
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('shop payments')});
ok(wait_for_state($finance, 'position_lost'), 'a restored finance database is noticed');
$finance->safe_psql('finance', q{UPDATE reconcile.source_position SET position = 'FFFFFF/0'});
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('shop payments')});
ok(wait_for_query($finance, 'finance', q{SELECT state FROM reconcile.source_status
    WHERE message LIKE '%went back in time%'}, 'position_lost'), 'a restored shop is noticed');
$finance->safe_psql('finance', q{UPDATE reconcile.source SET system_identifier = 1});
$finance->safe_psql('finance', q{SELECT reconcile.resync_source('shop payments')});
ok(wait_for_query($finance, 'finance', q{SELECT state FROM reconcile.source_status
    WHERE message LIKE 'this is a copy%' AND cause = 'copy'}, 'paused'), 'a copy of the cluster leaves the source alone');
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('shop payments')});
ok(wait_for_state($finance, 'running'), 'until resume_source says that it is the owner');

# A source that is away.
$shop->stop('immediate');
ok(wait_for_state($finance, 'waiting'), 'a server that is away is waited for');
isnt($finance->safe_psql('finance', 'SELECT last_error FROM reconcile.source_status'), '', 'the error is shown');
$shop->start;
$shop->safe_psql('shop', q{INSERT INTO payments VALUES (4, '1', 'o4', 1, 2)});
ok(wait_for_equality($shop, $finance, 90), 'and read when it is back');

# More than one batch of the worker holds.
$shop->safe_psql('shop', q{
    INSERT INTO payments SELECT i, '1', 'o' || i, i, 2 FROM generate_series(20001, 65000) i});
ok(wait_for_equality($shop, $finance, 90), 'a transaction that is larger than a batch');

# A resync compares the table with what is stored: its keys go to disk, not to memory.
$finance->safe_psql('finance', q{ALTER ROLE reconcile_worker SET maintenance_work_mem = '1MB';
    ALTER ROLE reconcile_worker SET log_temp_files = 0});
$shop->safe_psql('shop', q{DELETE FROM payments WHERE id % 1000 = 0; UPDATE payments SET amount_fen = 3 WHERE id = 20002});
ok(wait_for_equality($shop, $finance, 90), 'rows go');
drop_slot_at_source();
$shop->safe_psql('shop', q{DELETE FROM payments WHERE id % 1000 = 7; INSERT INTO payments VALUES (70000, '1', 'o70000', 1, 2)});
my $log = -s $finance->logfile;
$finance->safe_psql('finance', q{SELECT reconcile.resync_source('shop payments')});
ok(wait_for_equality($shop, $finance, 90), 'a resync finds what is gone and what is new');
my $worker = $finance->safe_psql('finance', 'SELECT pid FROM reconcile.source_status');
like(PostgreSQL::Test::Utils::slurp_file($finance->logfile, $log), qr/temporary file: path "base\/pgsql_tmp\/pgsql_tmp$worker\./,
    'within the memory that it is given');

# Mistakes.
sub refused {
    my ($sql, $message, $name) = @_;
    my ($status, $out, $error) = $finance->psql('finance', $sql);
    like($error, $message, $name);
    like($error, qr/HINT/, "$name: with a hint");
}
my $call = q{SELECT reconcile.create_replication_source('x', 'shop', 'payments', 'payments', };
refused($call . q{'{"channel": {"colum": "a"}}')}, qr/colum/, 'a word that the mapping does not know');
refused($call . q{'{}', 'internal', '{"copi": true}')}, qr/unknown option "copi"/, 'an option that does not exist');
refused(q{SELECT reconcile.create_replication_source('x', 'nowhere', 'p', 't', '{}')},
    qr/server "nowhere" does not exist/, 'a server that does not exist');
refused(q{SELECT reconcile.create_replication_source('shop payments', 'shop', 'payments', 'payments',
    (SELECT mapping FROM reconcile.source))}, qr/source "shop payments" exists already/, 'a name that is taken');
refused(q{SELECT reconcile.pause_source('nobody')}, qr/source "nobody" does not exist/, 'a source that does not exist');
refused(q{CREATE SERVER s FOREIGN DATA WRAPPER reconcile_source OPTIONS (password 'hunter2')},
    qr/option "password" is no option of a server/, 'a password in the wrong place');
refused(q{ALTER SERVER shop OPTIONS (ADD sslmode 'hunter2')}, qr/^(?!.*hunter2.*DETAIL).*sslmode/s, 'a wrong value');

# The end.
$finance->safe_psql('finance', q{SELECT reconcile.drop_source('shop payments')});
ok(wait_for_query($shop, 'shop', 'SELECT count(*) FROM pg_replication_slots', '0'), 'drop_source drops the slot');
is($finance->safe_psql('finance', 'SELECT count(*) FROM reconcile.source_status'), '0', 'the source is not shown');
is($finance->safe_psql('finance', finance_figures()), shop_figures($shop), 'its entries stay');
$finance->safe_psql('finance', 'SELECT reconcile.stop_worker()');
ok($finance->safe_psql('postgres', 'DROP DATABASE finance; SELECT 1'), 'DROP DATABASE works after stop_worker()');
is($finance->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_reconcile launcher'}),
    '1', 'the launcher lives on');

$finance->stop;
$shop->stop;
done_testing();
