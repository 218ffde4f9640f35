# Given servers on which the library is preloaded, or not,
# when extensions, databases and sources come and go in any order, and credentials are not what they must be,
# then workers run where they should and nowhere else, and what is wrong is said without a secret.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use ShopAndFinance;
use Test::More;

my ($shop, $finance) = shop_and_finance(finance_conf => "shared_preload_libraries = ''\n");
$shop->safe_psql('shop', q{INSERT INTO payments SELECT i, '1', 'o' || i, i, 2 FROM generate_series(1, 50) i});

# ---- not preloaded ------------------------------------------------------------------------------------------
create_source($finance, $shop);
is($finance->safe_psql('finance', 'SELECT state FROM reconcile.source_status'), 'stopped', 'not preloaded, no worker');
like($finance->safe_psql('finance', 'SELECT message FROM reconcile.source_status'), qr/start_worker/, 'and it is said how');

my $supervisors = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_reconcile%'};
$finance->safe_psql('finance', 'BEGIN; SELECT reconcile.start_worker(); ROLLBACK');
ok(wait_for_query($finance, 'postgres', $supervisors, '0'), 'a start_worker() that is rolled back starts nothing');
$finance->safe_psql('finance', 'SELECT reconcile.start_worker()');
ok(wait_for_equality($shop, $finance), 'start_worker() starts it');
is($finance->safe_psql('finance', q{SELECT usename FROM pg_stat_activity WHERE backend_type = 'pg_reconcile source'}),
    'reconcile_worker', 'the worker is no superuser');
$finance->safe_psql('finance', 'SELECT reconcile.start_worker()');
ok(wait_for_query($finance, 'postgres', $supervisors, '2'), 'a second call changes nothing');

$finance->append_conf('postgresql.conf', "restart_after_crash = on\n");
$finance->reload;
kill 'KILL', $finance->safe_psql('finance', 'SELECT pid FROM reconcile.source_status');
$shop->safe_psql('shop', q{INSERT INTO payments VALUES (51, '1', 'o51', 1, 2)});
ok(wait_for_equality($shop, $finance), 'it comes back after a crash');

$finance->safe_psql('finance', 'SELECT reconcile.stop_worker()');
ok(wait_for_query($finance, 'postgres', $supervisors, '0'), 'stop_worker() ends supervisor and worker');

# ---- preloaded: a worker by itself ---------------------------------------------------------------------------
$finance->append_conf('postgresql.conf', "shared_preload_libraries = '\$libdir/pg_reconcile'\n");
$finance->restart;
is($finance->safe_psql('finance', 'SELECT state FROM reconcile.source_status'), 'stopped', 'stopped stays stopped over a restart');
$finance->safe_psql('finance', 'SELECT reconcile.start_worker()');
$shop->safe_psql('shop', q{INSERT INTO payments VALUES (52, '1', 'o52', 1, 2)});
ok(wait_for_equality($shop, $finance), 'started, the launcher serves it');

# ---- databases with nothing to do ---------------------------------------------------------------------------
$finance->safe_psql('postgres', q{CREATE DATABASE idle});
create_extension($finance, 'idle');
ok(wait_for_query($finance, 'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'idle'}, '0'),
    'a database without sources keeps no process');
ok($finance->safe_psql('postgres', 'CREATE DATABASE idle_copy TEMPLATE idle; DROP DATABASE idle_copy; SELECT 1'),
    'and can be a template');

# ---- credentials ------------------------------------------------------------------------------------------------
sub state_like {
    my ($pattern, $name) = @_;
    ok(wait_for_query($finance, 'finance',
            "SELECT last_error ~ '$pattern' FROM reconcile.source_status", 't', 30), $name);
    my $said = $finance->safe_psql('finance', 'SELECT last_error FROM reconcile.source_status');
    unlike($said, qr/hunter2/, "$name: without the secret");
    like($said, qr/HINT/, "$name: with a hint");
    return;
}
sub again { $finance->safe_psql('finance', $_[0] . q{; SELECT reconcile.pause_source('shop payments')});
    wait_for_query($finance, 'finance', 'SELECT pid IS NULL FROM reconcile.source_status', 't');
    $finance->safe_psql('finance', q{SELECT reconcile.resume_source('shop payments')}); return }

again(q{DROP USER MAPPING FOR reconcile_worker SERVER shop; CREATE USER MAPPING FOR PUBLIC SERVER shop OPTIONS (user 'postgres')});
state_like('no user mapping for reconcile_worker', 'a mapping for PUBLIC is not used');
again(q{CREATE ROLE shopkeeper; GRANT USAGE ON FOREIGN DATA WRAPPER reconcile_source TO shopkeeper;
        ALTER SERVER shop OWNER TO shopkeeper; CREATE USER MAPPING FOR reconcile_worker SERVER shop OPTIONS (user 'postgres')});
state_like('must authenticate with a password', 'the server of no superuser without a password');
again(q{ALTER USER MAPPING FOR reconcile_worker SERVER shop OPTIONS (ADD password 'hunter2')});
state_like('did not ask for the password', 'a password that nobody asked for');
my $nobody = q{ALTER SERVER shop OWNER TO postgres; ALTER USER MAPPING FOR reconcile_worker SERVER shop OPTIONS (SET user 'nobody')};
again($nobody);
state_like('role "nobody" does not exist', 'a user that does not exist');
again(q{ALTER USER MAPPING FOR reconcile_worker SERVER shop OPTIONS (SET user 'postgres')});
$shop->safe_psql('shop', q{INSERT INTO payments VALUES (53, '1', 'o53', 1, 2)});
ok(wait_for_equality($shop, $finance), 'mended, it goes on');

# ---- the extension goes while its worker runs ------------------------------------------------------------------
ok(wait_for_state($finance, 'running'), 'running');
$finance->safe_psql('finance', 'SET lock_timeout = 20000; DROP EXTENSION pg_reconcile CASCADE');
ok(wait_for_query($finance, 'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'finance'}, '0'),
    'DROP EXTENSION ends its processes');
ok($finance->safe_psql('postgres', 'DROP DATABASE finance; SELECT 1'), 'and the database can be dropped');
is($finance->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_reconcile launcher'}),
    '1', 'the launcher lives');

$finance->stop;
$shop->stop;
done_testing();
