# Given sessions that add, correct and delete entries of two days all the time,
# when the days are run incrementally meanwhile, and the server is killed in the middle of it,
# then what incremental runs have published is, whenever writers rest, what a batch publishes.
#
# Environment: PG_RECONCILE_CRASHES (2), PG_RECONCILE_SEED (printed; replays the waits and what writers choose).

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;
use Time::HiRes qw(usleep);

my $crashes = $ENV{PG_RECONCILE_CRASHES} // 2;
my $seed = $ENV{PG_RECONCILE_SEED} // int(rand(1 << 30));
srand($seed);
note("PG_RECONCILE_SEED=$seed");

my $node = reconcile_node('incremental', conf => "fsync = on\nfull_page_writes = on\nsynchronous_commit = on\nrestart_after_crash = off\n");
$node->start;
create_extension($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a');
SELECT reconcile.ensure_month(current_date - 10), reconcile.ensure_month(current_date - 9);
CREATE FUNCTION add(p_book text, p_key text, p_order text, p_amount numeric, p_day date) RETURNS void LANGUAGE sql AS $$
  INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, channel_ref, amount, currency, status, effective,
                               occurred_at, business_date, recon_date, source_id, source_key)
  VALUES ('pay', 'a', p_book, 'payment', p_order, p_order, CASE WHEN random() < 0.5 THEN 'r' || (random() * 200)::integer END, p_amount, 'CNY', 'success',
          true, p_day + interval '10 hours', p_day, p_day, CASE p_book WHEN 'internal' THEN 1 ELSE 2 END, p_key)
  ON CONFLICT DO NOTHING $$;
-- Entries of a few orders, so that sessions meet: added, corrected, renamed, deleted, a transaction at a time.
CREATE PROCEDURE write(p_session integer, p_moves integer) LANGUAGE plpgsql AS $$
DECLARE
  book text;
  name text;
  at text;
BEGIN
  PERFORM setseed(p_session / 100.0);
  FOR n IN 1 .. p_moves LOOP
    FOR m IN 0 .. (random() * 2)::integer LOOP
      book := CASE WHEN random() < 0.5 THEN 'internal' ELSE 'trade' END;
      name := 'o' || (random() * 300)::integer;
      at := (SELECT e.source_key FROM reconcile.entry e WHERE e.book = write.book AND e.order_key = name LIMIT 1);
      CASE (random() * 5)::integer
        WHEN 0 THEN UPDATE reconcile.entry e SET amount = amount + 1 WHERE e.book = write.book AND e.source_key = at AND e.tier = 0;
        WHEN 1 THEN DELETE FROM reconcile.entry e WHERE e.book = write.book AND e.source_key = at AND e.tier = 0;
        WHEN 2 THEN UPDATE reconcile.entry e SET channel_ref = 'r' || (random() * 200)::integer WHERE e.book = write.book AND e.source_key = at AND e.tier = 0;
        ELSE PERFORM add(book, p_session || '/' || clock_timestamp(), name, 1 + (random() * 2)::integer, current_date - 10 + (random() * 1)::integer);
      END CASE;
    END LOOP;
    IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
  END LOOP;
END
$$;
CREATE FUNCTION published() RETURNS SETOF text LANGUAGE sql AS $$
  SELECT concat_ws(' ', 'run', r.business_date, r.state, r.left_entries, r.right_entries, r.matched_pairs, r.matched_groups, r.in_transit,
                   r.discrepancies_open, r.digest, r.proof, r.detail - 'transaction' - 'last_change') FROM reconcile.run r WHERE r.current
  UNION ALL SELECT concat_ws(' ', 'item', to_jsonb(o)) FROM reconcile.open_item o
  UNION ALL SELECT concat_ws(' ', 'match', g.business_date, g.rule, g.differs, (SELECT jsonb_agg(to_jsonb(m) - 'group_id' ORDER BY m.book, m.source_id, m.source_key)
                             FROM reconcile.match_item m WHERE m.group_id = g.group_id)) FROM reconcile.match_group g
  UNION ALL SELECT concat_ws(' ', 'discrepancy', to_jsonb(d) - 'last_run_id' - 'updated_at') FROM reconcile.discrepancy d
$$;
CREATE TABLE incremental (line text);
SELECT add(b, b || i, 'o' || i, 1 + i % 3, current_date - 10 + i % 2) FROM generate_series(0, 300) i, unnest(ARRAY['internal', 'trade']) b;
SELECT state FROM reconcile.run('pay', current_date - 10);
SELECT state FROM reconcile.run('pay', current_date - 9);
SQL

sub answers { my ($sql) = @_; return $node->safe_psql('postgres', $sql) }
sub session { return $node->background_psql('postgres', on_error_stop => 0) }
my $incremental = q{SELECT coalesce(string_agg(DISTINCT method || coalesce(' ' || batch_reason, ''), ', '), 'nothing') FROM reconcile.run('pay', current_date - 9, method => 'incremental')};

sub compare_with_batch {
    my ($when) = @_;
    is(answers($incremental), 'incremental', "$when: an incremental run stays one");
    answers('TRUNCATE incremental; INSERT INTO incremental SELECT published()');
    answers("SELECT count(*) FROM reconcile.run('pay', current_date - 10)");
    is(answers(q{SELECT string_agg(l, E'\n') FROM (
                   (SELECT '- ' || p AS l FROM (SELECT published() EXCEPT ALL SELECT line FROM incremental) x (p))
                   UNION ALL (SELECT '+ ' || p FROM (SELECT line FROM incremental EXCEPT ALL SELECT published()) x (p))) d}),
        '', "$when: a batch comes to the same");
    return;
}

for my $round (1 .. $crashes + 1) {
    my @writers = map { session() } 1 .. 3;
    my $runner = session();
    for my $i (0 .. 2) {
        $writers[$i]->{stdin} .= 'CALL write(' . (10 * $round + $i) . ", 150); SELECT 'writ' || 'ten';\n";
    }
    $runner->{stdin} .= "$incremental;\n" for 1 .. 40;
    $runner->{stdin} .= "SELECT 'r' || 'un';\n";
    $_->{run}->pump_nb for @writers, $runner;
    if ($round > $crashes) {
        pump_until($_->{run}, $_->{timeout}, \$_->{stdout}, qr/written/) or die "a writer does not end: $_->{stderr}" for @writers;
        pump_until($runner->{run}, $runner->{timeout}, \$runner->{stdout}, qr/run/) or die "the runs do not end: $runner->{stderr}";
        unlike($runner->{stdout}, qr/proof|explain|stored|two entries/, 'no run beside writers was led astray');
        is($runner->{stderr}, '', 'or failed');
        $_->quit for @writers, $runner;
        last;
    }
    my $until = Time::HiRes::time + 0.5 + rand(2.5);
    while (Time::HiRes::time() < $until) { $_->{run}->pump_nb for @writers, $runner; usleep(20_000) }
    kill 'KILL', $node->{_pid} or die "cannot kill the postmaster: $!";
    for my $session (@writers, $runner) { eval { $session->{run}->kill_kill; 1 } }
    my $data = $node->data_dir;
    for (1 .. 300) {
        last unless grep { -d "/proc/$_" && (readlink("/proc/$_/cwd") // '') eq $data } map { m{/proc/(\d+)$} } glob '/proc/[0-9]*';
        usleep(100_000);
    }
    unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';
    $node->{_pid} = undef;
    ok($node->start(fail_ok => 1), "crash $round: starts again") or BAIL_OUT('the server does not start');
    compare_with_batch("crash $round");
}
compare_with_batch('at the end');
is(answers(q{SELECT count(*) FROM reconcile.run WHERE state = 'failed' OR batch_reason IS NOT NULL}), 0, 'no run failed, none fell back');
note(answers(q{SELECT string_agg(method || ' ' || n, ', ') FROM (SELECT method, count(*) AS n FROM reconcile.run GROUP BY 1) m}));
$node->stop;
done_testing();
