package ReconcileNode;

# A PostgreSQL::Test::Cluster node that can load the staged pg_reconcile. Run through test/run_cluster.sh.
#
#   my $node = reconcile_node('finance');                          initialised, not started
#   my $node = reconcile_node('shop', conf => "wal_level = logical\n");
#   create_extension($node, 'postgres');                           pg_partman and pg_reconcile in a database
#   wait_for_query($node, 'finance', $sql, 't', 30);               polls until the answer is as expected

use strict;
use warnings;
use Exporter 'import';
use Time::HiRes qw(time usleep);
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(reconcile_node create_extension wait_for_query);

sub reconcile_node {
    my ($name, %options) = @_;
    my $stage_setting = $ENV{PG_RECONCILE_STAGE_SETTING};
    defined $stage_setting or die "PG_RECONCILE_STAGE_SETTING is not set: use test/run_cluster.sh\n";
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(
        allows_streaming => 'logical',
        extra => ['-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8'],
        %{ $options{init} || {} });
    $node->append_conf('postgresql.conf', <<"CONF");
$stage_setting
shared_preload_libraries = '\$libdir/pg_reconcile'
shared_buffers = 32MB
max_connections = 50
max_worker_processes = 16
CONF
    $node->append_conf('postgresql.conf', $options{conf}) if defined $options{conf};
    return $node;
}

sub create_extension {
    my ($node, $database) = @_;
    $node->safe_psql($database,
        'CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman; CREATE EXTENSION pg_reconcile;');
    return;
}

# Waits for a condition, never for a time. Dies with the last answer after $seconds_max.
sub wait_for_query {
    my ($node, $database, $sql, $expected, $seconds_max) = @_;
    $seconds_max ||= 60;
    my $deadline = time + $seconds_max;
    my ($status, $answer, $error) = (1, '', '');
    while (time < $deadline) {
        ($status, $answer, $error) = $node->psql($database, $sql);
        return 1 if $status == 0 && $answer eq $expected;
        usleep(50_000);
    }
    die "after $seconds_max s still not '$expected' but '$answer' $error: $sql\n";
}

1;
