# Given a server with pg_reconcile preloaded and the extension created,
# when it crashes and is started again,
# then the extension is whole: same objects, same configuration, functions answer, and it can be dropped.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

my $node = reconcile_node('crash');
$node->start;
create_extension($node, 'postgres');

my $members = q{
    SELECT count(*), md5(string_agg(pg_describe_object(classid, objid, 0), E'\n'
                                    ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C"))
    FROM pg_depend
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_reconcile')};
my $before = $node->safe_psql('postgres', $members);
cmp_ok((split /\|/, $before)[0], '>', 0, 'the extension has members');

$node->stop('immediate');
ok($node->start, 'starts after a crash');
is($node->safe_psql('postgres', $members), $before, 'the members are the same after recovery');
is($node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'pg_reconcile'}),
    '0.1.0', 'the version is the same');

# A backend that is killed makes the postmaster restart every process; the preloaded library must live with that.
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
my $start_time = q{SELECT extract(epoch FROM pg_postmaster_start_time())::text};
my $postmaster = $node->safe_psql('postgres', $start_time);
my $reinitialised = -s $node->logfile;
my $session = $node->background_psql('postgres');
kill 'KILL', $session->query_safe('SELECT pg_backend_pid()');
ok($node->wait_for_log(qr/all server processes terminated; reinitializing/, $reinitialised),
    'a killed backend reinitialises the server');
eval { $session->quit };
wait_for_query($node, 'postgres', 'SELECT 1', '1', 30);
is($node->safe_psql('postgres', $start_time), $postmaster, 'it is the same postmaster');
is($node->safe_psql('postgres', $members), $before, 'the members are the same after reinitialisation');

$node->safe_psql('postgres', 'DROP EXTENSION pg_reconcile; CREATE EXTENSION pg_reconcile;');
is($node->safe_psql('postgres', $members), $before, 'dropped and created again it is the same');
$node->stop;

done_testing();
