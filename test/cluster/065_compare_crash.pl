# A comparison by several processes that ends badly: a worker that is killed, and a cancel at every stage. No
# temporary file is left behind, what was spilled is counted, and the next comparison is right.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use FindBin;
use lib $FindBin::RealBin;
use ReconcileNode;

my $node = reconcile_node('finance', conf => "restart_after_crash = on\nremove_temp_files_after_crash = on\nlog_error_verbosity = terse\n");
$node->start;
create_extension($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE l AS SELECT n, md5(n::text) AS v, n % 7 AS w FROM generate_series(1, 400000) n;
CREATE TABLE r AS SELECT n, CASE WHEN n % 3 = 0 THEN 'x' ELSE v END AS v, w FROM l;
ANALYZE l, r;
SQL
my $settings = "SET pg_reconcile.memory_limit = '8MB'; SET min_parallel_table_scan_size = 0;";
my $forever = q{DO $$ BEGIN LOOP PERFORM count(*) FROM reconcile.compare('l', 'r', '{n}', '{v,w}'); END LOOP; END $$};
my $answer = q{SELECT (matched, mismatched) FROM reconcile.compare_summary('l', 'r', '{n}', '{v,w}')};
my $files = 'SELECT count(*) FROM pg_ls_tmpdir()';

sub start_work {
    my ($sql) = @_;
    my %work = (in => '', out => '', err => '');
    $work{handle} = IPC::Run::start(['psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres'), '-c', $sql],
        '<', \$work{in}, '>', \$work{out}, '2>', \$work{err});
    return \%work;
}

# A cancel answers at once, whatever the comparison is doing; most of the time that this takes is its own.
foreach my $phase ('reading left', 'reading right', 'matching', 'writing') {
    my ($fastest, $left) = (1e9, -1);
    foreach my $attempt (1 .. 3) {
        my $work = start_work("$settings $forever");
        wait_for_query($node, 'postgres', qq{SELECT count(pg_cancel_backend(pid)) FROM reconcile.run_progress WHERE phase = '$phase'}, '1', 60);
        my $since = time;
        $work->{handle}->finish;
        my $took = time - $since;
        $fastest = $took if $took < $fastest;
        like($work->{err}, qr/canceling statement/, "$phase: cancelled");
        last if $fastest < 0.1;
    }
    cmp_ok($fastest, '<', 0.5, "$phase: a cancel answers soon");
    note(sprintf('%s: %.0f ms', $phase, $fastest * 1000));
    wait_for_query($node, 'postgres', $files, '0', 10);
    ok(1, "$phase: and leaves no file");
    is($node->safe_psql('postgres', 'SELECT count(*) FROM reconcile.run_progress'), '0', "$phase: nor a slot");
}

my $before = $node->safe_psql('postgres', q{SELECT temp_bytes FROM pg_stat_database WHERE datname = 'postgres'});
is($node->safe_psql('postgres', "$settings $answer"), '(266667,133333)', 'after all of them a comparison is right');
wait_for_query($node, 'postgres', qq{SELECT temp_bytes - $before > 1000000 FROM pg_stat_database WHERE datname = 'postgres'}, 't', 30);
ok(1, 'what it spilled is counted');

# kill -9 of a worker: every process starts anew, and the files are gone.
my $work = start_work("$settings $forever");
wait_for_query($node, 'postgres', 'SELECT workers > 0 AND bytes_spilled > 0 FROM reconcile.run_progress', 't', 60);
my $pid = '';
for (1 .. 200) {
    $pid = $node->safe_psql('postgres', q{SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
    last if $pid ne '0' && kill('KILL', $pid);
    usleep(20_000);
}
$work->{handle}->finish;
unlike($work->{err}, qr/canceling statement/, 'a worker is killed');
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
is($node->safe_psql('postgres', $files), '0', 'no temporary file is left');
is($node->safe_psql('postgres', 'SELECT count(*) FROM reconcile.run_progress'), '0', 'nor a slot');
is($node->safe_psql('postgres', "$settings $answer"), '(266667,133333)', 'and the next comparison is right');
$node->stop;
done_testing();
