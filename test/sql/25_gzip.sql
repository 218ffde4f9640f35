-- A gzip says what its bytes add up to: damage is never read as data.
\setenv SCRATCH :scratch
BEGIN;
SELECT plan(6);

CREATE FUNCTION pg_temp.outcome(file text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text; detail text;
BEGIN
  RETURN (SELECT string_agg(p.order_key || ' ' || p.amount, ', ' ORDER BY p.row_no)
          FROM reconcile.parse_file('generic.csv', file, channel => 'packed', account => 'm1') p);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
  RETURN message || ' ' || detail;
END $$;
SET LOCAL client_min_messages = error;
SELECT reconcile.create_channel('packed', 'Asia/Shanghai', 'CNY', account => 'm1', first_date => '2026-11-01');
\! cd "$SCRATCH" && perl -MIO::Compress::Gzip=gzip -e 'my $head = "order_key,kind,amount,status,occurred_at\n"; my $bill = "A-1,payment,3.00,success,2026-11-18T09:00:00+08:00\n"; my $more = "A-2,payment,4.00,success,2026-11-18T09:00:00+08:00\n"; sub put { open my $o, ">:raw", $_[0] or die; print $o $_[1] } my $all = $head . $bill; gzip(\$all, \my $whole, -Level => 0); gzip(\$more, \my $second); put("whole.gz", $whole); my $changed = $whole; $changed =~ s/3\.00/9.00/ or die; put("changed.gz", $changed); put("members.gz", $whole . $second . "\0" x 512); put("torn.gz", substr($whole, 0, length($whole) - 4)); put("longer.gz", $whole . "more"); put("head.gz", substr($whole, 0, 5))'; chmod a+r "$SCRATCH"/*.gz
SELECT is(pg_temp.outcome(:'scratch' || '/whole.gz'), 'A-1 3.00', 'a gzip');
SELECT matches(pg_temp.outcome(:'scratch' || '/changed.gz'), 'it cannot be unpacked: incorrect data check', 'one of its bytes is another');
SELECT is(pg_temp.outcome(:'scratch' || '/members.gz'), 'A-1 3.00, A-2 4.00', 'two members, and zeros after them');
SELECT matches(pg_temp.outcome(:'scratch' || '/torn.gz'), 'it cannot be unpacked: it ends inside its gzip', 'its length is missing');
SELECT matches(pg_temp.outcome(:'scratch' || '/longer.gz'), 'it cannot be unpacked: it goes on after the end of its gzip', 'something follows');
SELECT matches(pg_temp.outcome(:'scratch' || '/head.gz'), 'it cannot be unpacked: it ends inside its gzip', 'no more than its start');
SELECT * FROM finish();
ROLLBACK;
