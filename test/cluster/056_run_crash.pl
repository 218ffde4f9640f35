# Given sources that pour entries into an account while its days are run again and again,
# when the server is killed at random moments,
# then after each restart books, totals and results agree, a re-run of every day proves, and nothing is published by halves.
#
# Environment: PG_RECONCILE_CRASHES (4), PG_RECONCILE_SEED (printed; replays the waits).

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;
use Time::HiRes qw(usleep);

my $crashes = $ENV{PG_RECONCILE_CRASHES} // 4;
my $seed = $ENV{PG_RECONCILE_SEED} // int(rand(1 << 30));
srand($seed);
note("PG_RECONCILE_SEED=$seed");

my $node = reconcile_node('crash_runs', conf => "fsync = on\nfull_page_writes = on\nsynchronous_commit = on\nrestart_after_crash = off\n");
$node->start;
create_extension($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a');
-- What was committed is remembered by the same transaction that committed it.
CREATE TABLE poured (batch text PRIMARY KEY, entries bigint, amount numeric);
CREATE PROCEDURE pour(p_book text, p_batch text, p_entries integer) LANGUAGE plpgsql AS $$
DECLARE
  keys text[] := ARRAY(SELECT p_batch || '-' || i FROM generate_series(1, p_entries) i);
  -- Both books hold most of the orders, each has some of its own.
  names text[] := ARRAY(SELECT CASE WHEN i % 10 = 0 THEN p_book ELSE '' END || split_part(p_batch, ':', 2) || '-' || i FROM generate_series(1, p_entries) i);
  amounts text[] := ARRAY(SELECT (i % 100 + 0.10)::text FROM generate_series(1, p_entries) i);
  days date[] := ARRAY(SELECT current_date - 10 + i % 3 FROM generate_series(1, p_entries) i);
  times timestamptz[] := ARRAY(SELECT current_date - 10 + i % 3 + interval '10 hours' FROM generate_series(1, p_entries) i);
  added bigint;
BEGIN
  PERFORM reconcile.prepare_entries(array_fill('pay'::text, ARRAY[p_entries]), array_fill('a'::text, ARRAY[p_entries]),
    array_fill(p_book, ARRAY[p_entries]), times, days, array_fill('success'::text, ARRAY[p_entries]));
  added := reconcile.insert_entries(CASE p_book WHEN 'internal' THEN 1 ELSE 2 END, NULL, keys, array_fill('pay'::text, ARRAY[p_entries]),
    array_fill('a'::text, ARRAY[p_entries]), array_fill(p_book, ARRAY[p_entries]), array_fill('payment'::text, ARRAY[p_entries]), NULL,
    names, names, names, NULL, amounts, array_fill('CNY'::text, ARRAY[p_entries]), NULL, NULL, NULL, NULL, NULL,
    array_fill('success'::text, ARRAY[p_entries]), NULL, times, NULL, days, NULL, NULL);
  INSERT INTO poured SELECT p_book || p_batch, added, (SELECT sum(a::numeric) FROM unnest(amounts) a);
END
$$;
SQL

sub session { return $node->background_psql('postgres', on_error_stop => 1) }

sub answers { my ($sql) = @_; return $node->safe_psql('postgres', $sql) }

my $runs_seen = 0;
for my $crash (1 .. $crashes) {
    my @sessions = map { session() } 1 .. 3;
    for my $n (1 .. 200) {
        $sessions[0]->{stdin} .= "CALL pour('internal', 'i:$crash.$n', 50);\n";
        $sessions[1]->{stdin} .= "CALL pour('trade', 't:$crash.$n', 50);\n";
        $sessions[2]->{stdin} .= "CALL reconcile.run_due((current_date - 7)::timestamptz + interval '1 hour');\n";
    }
    $_->{run}->pump_nb for @sessions;
    # A random moment, from before the first commit to well into the work.
    my $until = Time::HiRes::time + 0.2 + rand(2.5);
    while (Time::HiRes::time() < $until) { $_->{run}->pump_nb for @sessions; usleep(20_000) }
    kill 'KILL', $node->{_pid} or die "cannot kill the postmaster: $!";
    for my $session (@sessions) { eval { $session->{run}->kill_kill; 1 } }
    # The backends notice that their postmaster is gone.
    my $data = $node->data_dir;
    for (1 .. 300) {
        last unless grep { -d "/proc/$_" && (readlink("/proc/$_/cwd") // '') eq $data } map { m{/proc/(\d+)$} } glob '/proc/[0-9]*';
        usleep(100_000);
    }
    # Where nobody reaps the dead, the postmaster's number still looks taken.
    unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';
    $node->{_pid} = undef;
    ok($node->start(fail_ok => 1), "crash $crash: starts again") or BAIL_OUT('the server does not start');

    is(answers(q{SELECT (SELECT count(*) FROM reconcile.entry) = coalesce((SELECT sum(entries) FROM poured), 0)
                    AND coalesce((SELECT sum(amount) FROM reconcile.entry), 0) = coalesce((SELECT sum(amount) FROM poured), 0)}),
        't', "crash $crash: exactly what was committed is there");
    is(answers(q{SELECT count(*) FROM (
          SELECT recon_date, book, kind, currency, sum(entries) AS n, sum(amount) AS amount,
                 mod(sum(digest), 340282366920938463463374607431768211456) AS digest FROM reconcile.entry_total GROUP BY 1, 2, 3, 4
          EXCEPT
          SELECT recon_date, book, kind, currency, count(*), sum(amount),
                 mod(sum(reconcile.row_hash(order_key, match_key, channel_ref, kind, trim_scale(amount)::text, currency, trim_scale(fee)::text)),
                     340282366920938463463374607431768211456) FROM reconcile.entry GROUP BY 1, 2, 3, 4) x}),
        0, "crash $crash: totals are the entries'");
    is(answers(q{SELECT count(*) FROM reconcile.run r WHERE r.current AND (r.state <> 'succeeded' OR r.proof_difference <> 0)}) .
        ' ' . answers(q{SELECT count(*) FROM reconcile.run r JOIN reconcile.run_total t USING (run_id)
                        WHERE r.current AND (t.left_closing_count, t.right_closing_count) IS DISTINCT FROM
                          ((SELECT count(*) FROM reconcile.open_item o WHERE o.book = 'internal' AND o.opened_on <= r.business_date AND (o.closed_on IS NULL OR o.closed_on > r.business_date)),
                           (SELECT count(*) FROM reconcile.open_item o WHERE o.book = 'trade' AND o.opened_on <= r.business_date AND (o.closed_on IS NULL OR o.closed_on > r.business_date)))}),
        '0 0', "crash $crash: what was published is whole");
    $runs_seen += answers('SELECT count(*) FROM reconcile.run WHERE current');
}

answers("CALL reconcile.run_due((current_date - 7)::timestamptz + interval '1 hour')");
my $published = q{SELECT string_agg(business_date || ' ' || digest || ' ' || state || ' ' || proof_difference, ',' ORDER BY business_date) FROM reconcile.run WHERE current};
my $before = answers($published);
like($before, qr/succeeded 0.00,.*succeeded 0.00,.*succeeded 0.00/, 'afterwards every day is run and proved');
is(answers(q{SELECT (SELECT sum(left_in_count + right_in_count) FROM reconcile.run_total JOIN reconcile.run USING (run_id) WHERE current) = (SELECT count(*) FROM reconcile.entry)}),
    't', 'with every entry');
is(answers(q{SELECT count(*) FROM reconcile.run WHERE state = 'failed'}), 0, 'no proof ever failed');
my $events = answers('SELECT count(*) FROM reconcile.discrepancy_event');
answers("SELECT count(*) FROM reconcile.run('pay', current_date - 10)");
is(answers($published), $before, 'a re-run comes to the same');
is(answers('SELECT count(*) FROM reconcile.discrepancy_event'), $events, 'and has nothing to say');
is(answers(q{SELECT count(*) FROM (SELECT previous_hash, coalesce(lag(hash) OVER (ORDER BY event_id), '\x') AS before FROM reconcile.discrepancy_event) e WHERE previous_hash <> before}),
    0, 'events are chained across the crashes');
note("$runs_seen run days stood at the crashes");
$node->stop;
done_testing();
