# reconcile.run_progress, watched from a second session; and that a slot is freed however its command ends.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use ReconcileNode;

my $node = reconcile_node('finance', conf => "restart_after_crash = on\n");
$node->start;
create_extension($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
SELECT reconcile.create_channel('alipay', 'UTC', 'CNY', account => 'a', first_date => current_date - 10);
SELECT reconcile.create_channel('wechat', 'UTC', 'CNY', account => 'w', first_date => current_date - 10);
SELECT reconcile.ensure_month((current_date - 3)::date);
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, status, effective,
  business_date, recon_date, source_id, source_key)
SELECT 'alipay', 'a', b.book, 'payment', 'o' || n, 'o' || n, n, 'CNY', 'success', true, current_date - 3, current_date - 3, 1, b.book || n
FROM generate_series(1, 20000) n, (VALUES ('internal'), ('trade')) b (book);
-- What the source itself counts: waits for the lock that this test holds.
CREATE FUNCTION counted(channel text, account text, business_date date)
RETURNS TABLE (currency text, entries bigint, amount numeric) LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_lock_shared(42); PERFORM pg_advisory_unlock_shared(42);
RETURN QUERY SELECT 'CNY', 20000::bigint, 200010000::numeric; END $$;
SELECT reconcile.set_control_query('alipay', 'internal-trade', 'counted(text,text,date)', 'postgres', current_date - 10);
CREATE TABLE l AS SELECT n, n % 7 AS v FROM generate_series(1, 20000) n;
CREATE TABLE r AS TABLE l;
ANALYZE l, r;
CREATE FUNCTION slow(n integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN IF n = 20000 THEN PERFORM pg_advisory_lock_shared(42); PERFORM pg_advisory_unlock_shared(42); END IF; RETURN true; END $$;
CREATE ROLE anna LOGIN; GRANT reconcile_reader TO anna;
CREATE ROLE wanda LOGIN; GRANT reconcile_reader TO wanda;
INSERT INTO reconcile.access (member, channel) VALUES ('wanda', 'wechat');
SQL
is($node->safe_psql('postgres', 'SELECT count(*), reconcile.why_no_progress() IS NULL FROM reconcile.run_progress'), '0|t',
    'nothing runs, and progress is tracked');

# A session that holds the lock, and one that works.
sub hold { my $s = $node->background_psql('postgres'); $s->query_safe($_[0]); return $s; }
my $run = q{SELECT state FROM reconcile.run('alipay', current_date - 3, force => true);};
sub start_work {
    my ($sql) = @_;
    my %work = (in => '', out => '', err => '');
    $work{handle} = IPC::Run::start(['psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres'), '-c', $sql],
        '<', \$work{in}, '>', \$work{out}, '2>', \$work{err});
    return \%work;
}
my $free = 'SELECT count(*) FROM reconcile.run_progress';

my $lock = hold('SELECT pg_advisory_lock(42)');
my $work = start_work($run);
wait_for_query($node, 'postgres', q{SELECT command, database, channel, account, leg, business_date = current_date - 3, phase,
    started_at <= phase_started_at, pid IN (SELECT pid FROM pg_stat_activity) FROM reconcile.run_progress},
    'run|postgres|alipay|a|internal-trade|t|proving|t|t', 60);
ok(1, 'a run shows what it runs, and its phase');
is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION anna; $free"), '1', 'a reader sees it');
is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION wanda; $free"), '0', 'who may not see the channel does not');
my $second = start_work($run);
wait_for_query($node, 'postgres', q{SELECT string_agg(phase, ',' ORDER BY phase) FROM reconcile.run_progress}, 'proving,waiting for lock', 60);
ok(1, 'a second run of the day waits for the first');
$lock->quit;
$_->{handle}->finish foreach ($work, $second);
is($work->{out} . $second->{out}, "succeeded\nsucceeded\n", 'both end');
is($node->safe_psql('postgres', $free), '0', 'and leave no trace');

# A leaf is locked: the run can't begin to read.
my $leaf = $node->safe_psql('postgres', q{SELECT DISTINCT tableoid::regclass FROM reconcile.entry WHERE book = 'trade'});
my $table = hold("BEGIN; LOCK TABLE $leaf IN ACCESS EXCLUSIVE MODE");
$work = start_work($run);
wait_for_query($node, 'postgres', q{SELECT phase, rows_done FROM reconcile.run_progress}, 'waiting for lock|0', 60);
ok(1, 'a run that waits for a table');
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM reconcile.run_progress');
$work->{handle}->finish;
like($work->{err}, qr/canceling statement/, 'a cancelled run');
is($node->safe_psql('postgres', $free), '0', 'frees its slot');
$work = start_work($run);
wait_for_query($node, 'postgres', q{SELECT phase FROM reconcile.run_progress}, 'waiting for lock', 60);
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid) FROM reconcile.run_progress');
$work->{handle}->finish;
wait_for_query($node, 'postgres', $free, '0', 30);
ok(1, 'a terminated one too');
$table->quit;

# A comparison counts its rows.
$lock = hold('SELECT pg_advisory_lock(42)');
$work = start_work(q{SELECT matched FROM reconcile.compare_summary('l', 'r', '{n}', '{v}', 'slow(n)');});
wait_for_query($node, 'postgres', q{SELECT command, channel IS NULL, phase, rows_done, rows_expected FROM reconcile.run_progress},
    'compare|t|reading left|16384|20000', 60);
ok(1, 'a comparison shows the rows it has read');

# One by several processes, with rows in files: again and again until it was seen at work.
$lock->quit;
$work->{handle}->finish;
$node->safe_psql('postgres', q{CREATE TABLE many AS SELECT n, n % 7 AS v FROM generate_series(1, 500000) n; CREATE TABLE many_too AS SELECT n, n % 8 AS v FROM many;
    ANALYZE many, many_too});
$work = start_work(q{SET pg_reconcile.memory_limit = '8MB'; SET min_parallel_table_scan_size = 0;
    DO $$ BEGIN LOOP PERFORM reconcile.compare_summary('many', 'many_too', '{n}', '{v}'); END LOOP; END $$});
wait_for_query($node, 'postgres', q{SELECT command, workers, bytes_spilled > 1000000, rows_expected = CASE phase WHEN 'matching' THEN rows_expected ELSE 500000 END
    FROM reconcile.run_progress WHERE workers > 0 AND bytes_spilled > 1000000}, 'compare|2|t|t', 60);
ok(1, 'a comparison shows its workers and what it spilled');
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM reconcile.run_progress');
$work->{handle}->finish;
is($node->safe_psql('postgres', $free), '0', 'and leaves no trace');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'nor files');

# An ingestion counts rows and bytes. It stands still where its day's partition is locked.
my $file = PostgreSQL::Test::Utils::tempdir() . '/bill.csv';
{
    open(my $out, '>', $file) or die "$file: $!";
    print $out "#account=a\norder_key,kind,amount,occurred_at\n";
    my $day = $node->safe_psql('postgres', 'SELECT current_date - 3');
    print $out "p$_,payment,1.00,$day 10:00:00\n" for 1 .. 25000;
    close($out) or die "$file: $!";
}
my $bytes = -s $file;
$node->safe_psql('postgres', q{SELECT reconcile.create_file_source('bills', 'alipay', 'generic.csv', NULL, account => 'a')});
$table = hold("BEGIN; LOCK TABLE $leaf IN ACCESS EXCLUSIVE MODE");
$work = start_work("SELECT reconcile.ingest_file('bills', '$file')");
wait_for_query($node, 'postgres', qq{SELECT command, channel, account, phase, rows_done, rows_expected IS NULL, bytes_expected,
    bytes_done > 100000 AND bytes_done < $bytes, pid IN (SELECT pid FROM pg_stat_activity) FROM reconcile.run_progress},
    "ingest|alipay|a|reading|8192|t|$bytes|t|t", 60);
ok(1, 'an ingestion shows the rows and bytes that it has read');
is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION wanda; $free"), '0', 'to those who may see the channel');
$table->quit;
$work->{handle}->finish;
is($work->{out} . $work->{err}, "1\n", 'it ends');
is($node->safe_psql('postgres', $free), '0', 'and leaves no trace');
$lock = hold('SELECT pg_advisory_lock(42)');
$work = start_work(q{SELECT matched FROM reconcile.compare_summary('l', 'r', '{n}', '{v}', 'slow(n)');});
wait_for_query($node, 'postgres', q{SELECT phase, bytes_done IS NULL FROM reconcile.run_progress}, 'reading left|t', 60);

# A crash: the postmaster starts again with new shared memory.
my $pid = $node->safe_psql('postgres', 'SELECT pid FROM reconcile.run_progress');
kill 'KILL', $pid;
$work->{handle}->finish;
eval { $lock->quit };
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
is($node->safe_psql('postgres', $free), '0', 'after a crash every slot is free');
is($node->safe_psql('postgres', $run), 'succeeded', 'and runs go on');

# Without preloading there is nothing to see, and a reason.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
is($node->safe_psql('postgres', $run), 'succeeded', 'not preloaded: runs work');
is($node->safe_psql('postgres', "SELECT ($free), reconcile.why_no_progress() ~ 'shared_preload_libraries'"), '0|t', 'and the view says why it is empty');
$node->stop;
done_testing();
