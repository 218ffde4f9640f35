# Given a day of an account whose rules suggest matches, and sessions that decide on them at the same moment,
# when two confirm matches that share an entry, one confirms what another rejects, or somebody decides or sets rules during a run,
# then one decision stands, no entry is matched twice, every day closes, and the next run knows what the last one did not see.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

my $node = reconcile_node('rule_races');
$node->start;
create_extension($node, 'postgres');
my $day = $node->safe_psql('postgres', 'SELECT current_date - 10');
$node->safe_psql('postgres', <<'SQL');
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a');
CREATE ROLE anna LOGIN;
CREATE ROLE bert LOGIN;
GRANT reconcile_operator TO anna, bert;
-- One row of a source: no two of them share a key.
CREATE FUNCTION say(p_book text, p_key text, p_amount text, p_day date) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM reconcile.prepare_entries(ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_day + interval '10 hours'], ARRAY[p_day], ARRAY['success']);
  RETURN reconcile.insert_entries(CASE p_book WHEN 'internal' THEN 1 ELSE 2 END, NULL, ARRAY[p_key], ARRAY['pay'], ARRAY['a'],
    ARRAY[p_book], ARRAY['payment'], NULL, ARRAY[p_key], ARRAY[p_key], NULL, NULL, ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, NULL, NULL,
    ARRAY['success'], NULL, ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
END
$$;
CREATE FUNCTION rules(p_within text) RETURNS integer LANGUAGE sql AS $$
  SELECT reconcile.set_match_rules('pay', 'internal-trade', ('[{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"},
    {"rule": "pair", "name": "near", "key": ["kind"], "amount": {"within": "' || p_within || '"}}]')::jsonb)
$$;
CREATE FUNCTION sid(p_key text) RETURNS bigint LANGUAGE sql AS $$
  SELECT s.suggestion_id FROM reconcile.open_suggestion s
  WHERE EXISTS (SELECT FROM jsonb_array_elements(s.left_entries || s.right_entries) e WHERE e ->> 'source_key' = p_key)
$$;
-- left=right of every match that stands, in order.
CREATE FUNCTION matches() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(m.words, ' ' ORDER BY m.words COLLATE "C")
  FROM (SELECT string_agg(i.source_key, '=' ORDER BY i.book) || '/' || g.pass AS words
        FROM reconcile.match_group g JOIN reconcile.match_item i USING (group_id) GROUP BY g.group_id) m
$$;
CREATE FUNCTION next_day() RETURNS date LANGUAGE sql AS $$
  SELECT reconcile.next_run_day('pay', 'a', 'internal-trade', (current_date - 9)::timestamptz + interval '1 hour')
$$;
SELECT rules('0.05');
SELECT say('internal', 'l' || i, (i * 10)::text, current_date - 10), say('trade', 'r' || i, i * 10 || '.02', current_date - 10)
FROM generate_series(1, 9) i;
SELECT reconcile.run('pay', current_date - 10);
SQL

sub ask { my ($sql) = @_; return $node->safe_psql('postgres', $sql) }
sub open_session {
    my ($user) = @_;
    return $node->background_psql('postgres', on_error_stop => 0, extra_params => [ $user ? ('-U', $user) : () ]);
}
sub send_sql { my ($s, $sql) = @_; $s->{stdin} .= "$sql\n"; $s->{run}->pump_nb; return }
sub wait_until_said {
    my ($s, $pattern) = @_;
    pump_until($s->{run}, $s->{timeout}, \$s->{stdout}, $pattern) or die "never said $pattern: $s->{stdout}$s->{stderr}";
    return;
}
sub finish_session { my ($s) = @_; my $said = $s->{stdout} . $s->{stderr}; $s->quit; return $said }
sub wait_for_advisory_waiter {
    wait_for_query($node, 'postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}, 't', 30);
    return;
}
# What the first session does in a transaction, the second one tries to do meanwhile; what the second one is told.
sub race {
    my ($first_sql, $second_sql, $second_begins) = @_;
    my ($first, $second) = (open_session('anna'), open_session('bert'));
    if ($second_begins) { send_sql($second, "$second_begins SELECT 'has begun';"); wait_until_said($second, qr/has begun/) }
    send_sql($first, "BEGIN; SELECT 'first ' || $first_sql;");
    wait_until_said($first, qr/first \d+/);
    send_sql($second, "SELECT 'second ' || $second_sql;\n\\echo answered");
    wait_for_advisory_waiter();
    unlike($second->{stdout}, qr/answered/, 'the second waits');
    send_sql($first, "COMMIT; SELECT 'committed';");
    wait_until_said($first, qr/committed/);
    wait_until_said($second, qr/answered/);
    finish_session($first);
    return finish_session($second);
}
# Runs what is due, until nothing is; each entry is in one match, and every day closes.
sub settles {
    my ($what) = @_;
    ask(q{CALL reconcile.run_due((current_date - 9)::timestamptz + interval '1 hour')});
    is(ask('SELECT next_day()'), '', "$what: nothing is due after run_due");
    my $runs = q{SELECT string_agg(run_id || ' ' || digest, ',' ORDER BY run_id) FROM reconcile.run WHERE current};
    my $before = ask($runs);
    ask(q{CALL reconcile.run_due((current_date - 9)::timestamptz + interval '1 hour')});
    is(ask($runs), $before, "$what: and the next one runs nothing");
    is(ask('SELECT count(*) FROM (SELECT FROM reconcile.match_item GROUP BY leg, book, source_id, source_key HAVING count(*) > 1) twice'), 0,
        "$what: no entry is matched twice");
    is(ask(q{SELECT count(*) FROM reconcile.run WHERE current AND (proof_difference <> 0 OR state <> 'succeeded')}), 0, "$what: the proof is zero");
    return;
}
# A suggestion like that of one key, with the right entry of another. Runs never suggest two that share an entry at once.
sub overlapping {
    my ($left, $right) = @_;
    return ask(<<"SQL");
INSERT INTO reconcile.match_suggestion (channel, account, leg, business_date, last_date, pass, rule, rule_version, outcome, currency, residual,
                                        tolerance, left_count, right_count, left_entries, right_entries, members, run_id)
SELECT l.channel, l.account, l.leg, l.business_date, l.last_date, l.pass, l.rule, l.rule_version, l.outcome, l.currency,
       (r.right_entries -> 0 ->> 'amount')::numeric - (l.left_entries -> 0 ->> 'amount')::numeric, l.tolerance, 1, 1, l.left_entries,
       r.right_entries, reconcile.member_hash(l.left_entries, r.right_entries), l.run_id
FROM reconcile.match_suggestion l, reconcile.match_suggestion r
WHERE l.suggestion_id = $left AND r.suggestion_id = $right RETURNING suggestion_id
SQL
}

is(ask('SELECT count(*) FROM reconcile.open_suggestion'), 9, 'nine matches are suggested');

# Two confirm matches that share an entry.
{
    my ($one, $other) = (ask(q{SELECT sid('l1')}), ask(q{SELECT sid('l2')}));
    my $both = overlapping($one, $other);
    like(race("reconcile.confirm_match($one)", "reconcile.confirm_match($both)"),
        qr/suggestion $both shares an entry with suggestion $one, which is confirmed/, 'the second of two that share an entry is told so');
    is(ask('SELECT count(*) FROM reconcile.match_decision'), 1, 'one decision stands');
    is(ask('SELECT next_day()'), $day, 'its day is due');
    settles('one of two');
    is(ask('SELECT matches()'), 'l1=r1/0', 'what was confirmed is matched');
}

# A transaction with an old snapshot could not see the other's decision: it decides nothing.
{
    my ($one, $other) = (ask(q{SELECT sid('l2')}), ask(q{SELECT sid('l3')}));
    my $both = overlapping($one, $other);
    like(race("reconcile.confirm_match($one)", "reconcile.confirm_match($both)", 'BEGIN ISOLATION LEVEL REPEATABLE READ;'),
        qr/need the isolation level READ COMMITTED/, 'an old snapshot decides nothing');
    settles('an old snapshot');
    is(ask('SELECT matches()'), 'l1=r1/0 l2=r2/0', 'the other decision is applied');
}

# Two decisions that share an entry, which no function would record: the first is applied.
{
    my ($one, $other) = (ask(q{SELECT sid('l3')}), ask(q{SELECT sid('l9')}));
    my $both = overlapping($one, $other);
    ask(<<"SQL");
INSERT INTO reconcile.match_decision (channel, account, leg, recon_date, decision, suggestion_id, rule, rule_version, currency, residual,
                                      left_entries, right_entries, members)
SELECT channel, account, leg, business_date, 'confirmed', suggestion_id, rule, rule_version, currency, residual, left_entries, right_entries, members
FROM reconcile.match_suggestion WHERE suggestion_id IN ($one, $both) ORDER BY suggestion_id
SQL
    settles('two decisions');
    is(ask('SELECT matches()'), 'l1=r1/0 l2=r2/0 l3=r3/0', 'the later one is not applied');
}

# Two confirm the same match.
{
    my $one = ask(q{SELECT sid('l4')});
    like(race("reconcile.confirm_match($one)", "reconcile.confirm_match($one)"), qr/suggestion $one is confirmed already/, 'the second is told so');
    settles('twice the same');
    is(ask('SELECT matches()'), 'l1=r1/0 l2=r2/0 l3=r3/0 l4=r4/0', 'it is matched once');
}

# One confirms what another rejects: the later decision holds.
{
    my ($one, $other) = (ask(q{SELECT sid('l5')}), ask(q{SELECT sid('l6')}));
    like(race("reconcile.confirm_match($one)", "reconcile.reject_match($one, 'another customer')"), qr/second \d+/, 'a rejection takes a confirmation back');
    like(race("reconcile.reject_match($other, 'another customer')", "reconcile.confirm_match($other)"), qr/second \d+/, 'and the other way round');
    is(ask(qq{SELECT string_agg(decision || ' ' || decided_by, ', ' ORDER BY decision_id) FROM reconcile.match_decision WHERE suggestion_id IN ($one, $other)}),
        'confirmed anna, rejected bert, rejected anna, confirmed bert', 'all four decisions are kept, with their logins');
    settles('for and against');
    is(ask('SELECT matches()'), 'l1=r1/0 l2=r2/0 l3=r3/0 l4=r4/0 l6=r6/0', 'the last word on each holds');
    is(ask(q{SELECT sid('l5')}), '', 'what was rejected is not suggested again');
}

# Decisions during a run wait for nothing, and belong to the next run.
{
    my ($one, $other) = (ask(q{SELECT sid('l7')}), ask(q{SELECT sid('l8')}));
    my $runner = open_session('anna');
    send_sql($runner, "BEGIN; SELECT 'ran ' || state FROM reconcile.run('pay', '$day');");
    wait_until_said($runner, qr/ran succeeded/);
    is($node->safe_psql('postgres', "SELECT reconcile.confirm_match($one) > 0, reconcile.reject_match($other, 'not these') > 0", extra_params => ['-U', 'bert']),
        't|t', 'decided during a run');
    send_sql($runner, "COMMIT; SELECT 'committed';");
    wait_until_said($runner, qr/committed/);
    finish_session($runner);
    unlike(ask('SELECT matches()'), qr/l7/, 'the run did not see it');
    is(ask('SELECT next_day()'), $day, 'so its day is due again');
    settles('during a run');
    is(ask('SELECT matches()'), 'l1=r1/0 l2=r2/0 l3=r3/0 l4=r4/0 l6=r6/0 l7=r7/0', 'and then matched');
    is(ask(q{SELECT sid('l8')}), '', 'or not suggested again');
}

# A run that suggests another match of an entry, while the one that stood is confirmed.
{
    ask(qq{SELECT say('trade', 'nearer', '90.01', '$day')});
    my $stood = ask(q{SELECT sid('l9')});
    my $runner = open_session('anna');
    send_sql($runner, "BEGIN; SELECT 'ran ' || state FROM reconcile.run('pay', '$day');");
    wait_until_said($runner, qr/ran succeeded/);
    $node->safe_psql('postgres', "SELECT reconcile.confirm_match($stood)", extra_params => ['-U', 'bert']);
    send_sql($runner, "COMMIT; SELECT 'committed';");
    wait_until_said($runner, qr/committed/);
    finish_session($runner);
    my $nearer = ask(q{SELECT sid('nearer')});
    isnt($nearer, $stood, 'the run suggests another match');
    my ($status, $out, $error) = $node->psql('postgres', "SELECT reconcile.confirm_match($nearer)", extra_params => ['-U', 'anna']);
    like($error, qr/suggestion $nearer shares an entry with suggestion $stood, which is confirmed/, 'which cannot be confirmed any more');
    settles('another suggestion');
    like(ask('SELECT matches()'), qr{l9=r9/0}, 'what was confirmed is matched');
    unlike(ask('SELECT matches()'), qr/nearer/, 'what was suggested meanwhile is not');
}

# Rules that are set during a run are those of the next one.
{
    ask(qq{SELECT say('internal', 'far', '500', '$day'), say('trade', 'off', '500.30', '$day')});
    my $runner = open_session('anna');
    send_sql($runner, "BEGIN; SELECT 'ran ' || state FROM reconcile.run('pay', '$day');");
    wait_until_said($runner, qr/ran succeeded/);
    is(ask(q{SELECT rules('0.50')}), 3, 'rules are set during a run');
    send_sql($runner, "COMMIT; SELECT 'committed';");
    wait_until_said($runner, qr/committed/);
    finish_session($runner);
    is(ask(q{SELECT sid('far')}), '', 'the run did not see them');
    is(ask('SELECT next_day()'), $day, 'so its day is due again');
    settles('rules');
    is(ask(q{SELECT right_entries -> 0 ->> 'source_key' FROM reconcile.open_suggestion WHERE suggestion_id = sid('far')}), 'off', 'and matched by them');
}

# Sets of rules that are set at once have a version each, and the last one holds.
{
    my ($first, $second) = (open_session(), open_session());
    send_sql($first, "BEGIN; SELECT 'first ' || rules('0.10');");
    wait_until_said($first, qr/first 4/);
    send_sql($second, "SELECT 'second ' || rules('0.40');");
    wait_for_advisory_waiter();
    send_sql($first, 'COMMIT;');
    wait_until_said($second, qr/second 5/);
    finish_session($_) for $first, $second;
    settles('two sets of rules');
    is(ask(q{SELECT rule_version FROM reconcile.open_suggestion WHERE suggestion_id = sid('far')}), 5, 'the last set holds');
}

# Many decide and run at once.
{
    ask(qq{SELECT say('internal', 'm' || i, (1000 + i * 10)::text, '$day'), say('trade', 'n' || i, 1000 + i * 10 || '.20', '$day') FROM generate_series(1, 30) i});
    settles('thirty more');
    my @ids = split /\n/, ask(q{SELECT suggestion_id FROM reconcile.open_suggestion WHERE left_entries -> 0 ->> 'source_key' LIKE 'm%' ORDER BY 1});
    is(scalar @ids, 30, 'thirty more are suggested');
    my @sessions = (open_session('anna'), open_session('bert'), open_session('anna'));
    foreach my $n (0 .. $#ids) {
        send_sql($sessions[0], "SELECT reconcile.confirm_match($ids[$n]);");
        send_sql($sessions[1], $n % 3 ? "SELECT reconcile.confirm_match($ids[-1 - $n]);" : "SELECT reconcile.reject_match($ids[-1 - $n], 'no');");
        send_sql($sessions[2], "SELECT count(*) FROM reconcile.run('pay', '$day');") if $n % 6 == 0;
    }
    send_sql($_, "SELECT 'all done';") for @sessions;
    wait_until_said($_, qr/all done/) for @sessions;
    my $said = join "\n", map { finish_session($_) } @sessions;
    my @errors = grep { /ERROR/ && !/is (?:confirmed|rejected) already|does not exist/ } split /\n/, $said;
    is_deeply(\@errors, [], 'nobody is told anything but that it is decided already');
    settles('many at once');
    is(ask(<<'SQL'), '0', 'what is matched is what was confirmed last');
SELECT count(*) FROM (SELECT DISTINCT ON (d.members) d.* FROM reconcile.match_decision d ORDER BY d.members, d.decision_id DESC) d
WHERE (d.left_entries -> 0 ->> 'source_key') LIKE 'm%' AND (d.decision = 'confirmed')
  <> EXISTS (SELECT FROM reconcile.match_item i WHERE i.source_key = d.left_entries -> 0 ->> 'source_key')
SQL
}

$node->stop;
done_testing();
