# Given an HTTPS server with a certificate of an authority of its own,
# when bills are not there yet, empty, cut off, behind expired addresses or digests that are wrong,
# then each of these is a different answer, and every bill is taken in once.

use strict;
use warnings;
use File::Temp;
use FetchServers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

my $folder = File::Temp->newdir;
my $store = File::Temp->newdir;
my $web = FetchServers::https_server("$folder");
my $finance = reconcile_node('finance', conf => "restart_after_crash = on\npg_reconcile.store_directory = '$store'\n");
$finance->start;
$finance->safe_psql('postgres', 'CREATE DATABASE finance');
create_extension($finance, 'finance');
my $day = $finance->safe_psql('postgres', "SELECT to_char((now() AT TIME ZONE 'Asia/Shanghai')::date - 1, 'YYYYMMDD')");
my $iso = $day =~ s/(....)(..)(..)/$1-$2-$3/r;

sub bill { my ($prefix, $rows) = @_; return "#account=6222\n#business_date=$iso\norder_key,kind,amount\n" . join('', map { "$prefix-$_,payment,1.00\n" } 1 .. $rows); }
sub put { my ($name, $content) = @_; FetchServers::write_file("$folder/.new", $content); rename("$folder/.new", "$folder/$name") or die $!; return; }
sub rule { my ($name, $text) = @_; FetchServers::write_file("$folder/.rules/.new", $text); rename("$folder/.rules/.new", "$folder/.rules/$name") or die $!; return; }
sub requests { my ($pattern) = @_; open(my $in, '<', "$folder/.log") or return (); return grep { /$pattern/ } readline($in); }

my $account = 0;
# A channel of its own for each source: what one is told about the day is not the other's.
sub source {
    my ($name, $location, $options, $server) = @_;
    $account++;
    $finance->safe_psql('finance', <<"SQL");
SELECT reconcile.create_channel('$name', 'Asia/Shanghai', 'CNY', account => '6222', first_date => '$day');
SELECT reconcile.create_file_source('$name', '$name', 'generic.csv', '$location', account => '6222',
    options => '{"server": "$server", "ask_after": "-1 day", "every": "2 seconds", "stall_seconds": 30}'::jsonb || '$options');
SQL
    return;
}
sub wait_for_source {
    my ($name, $expected) = @_;
    return wait_for_query($finance, 'finance', "SELECT d.state FROM reconcile.fetch_day d JOIN reconcile.source s USING (source_id) WHERE s.name = '$name'", $expected, 40);
}
sub wait_for_message {
    my ($name, $pattern) = @_;
    return wait_for_query($finance, 'finance', "SELECT d.message ~ \$re\$$pattern\$re\$ FROM reconcile.fetch_day d JOIN reconcile.source s USING (source_id) WHERE s.name = '$name'", 't', 40);
}
sub entries { return $finance->safe_psql('finance', "SELECT count(*) FROM reconcile.entry WHERE channel = '$_[0]'"); }

my $base = "https://127.0.0.1:$web->{port}";
$finance->safe_psql('finance', <<"SQL");
CREATE SERVER good FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '127.0.0.1', port '$web->{port}', sslrootcert '$web->{ca}');
CREATE USER MAPPING FOR reconcile_worker SERVER good OPTIONS (bearer_token 's3cr3t-token');
CREATE SERVER stranger FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '127.0.0.1', port '$web->{port}');
CREATE USER MAPPING FOR reconcile_worker SERVER stranger OPTIONS (bearer_token 's3cr3t-token');
SQL

# ---- not there yet, then there ----
source('late', "$base/late_{yyyyMMdd}.csv?day={yyyy-MM-dd}", '{}', 'good');
wait_for_message('late', '^HTTP 404');
is($finance->safe_psql('finance', q{SELECT state FROM reconcile.fetch_day}), 'awaited', '404 is awaited, unless the source says otherwise');
put("late_$day.csv", bill('l', 3));
wait_for_source('late', 'fetched');
is(entries('late'), '3', 'then the bill is there');
ok(scalar requests(qr{^200 /late_$day\.csv\?day=$iso - Bearer s3cr3t-token$}), 'who asks says who he is');

# ---- an empty day, and one that is being made ----
rule("none_$day.csv.status", qq{400\n{"code":"NO_STATEMENT_EXIST","message":"no statement"}});
source('none', "$base/none_{yyyyMMdd}.csv", '{}', 'good');
wait_for_source('none', 'empty');
is($finance->safe_psql('finance', q{SELECT state || ' ' || entry_count || ' ' || reason FROM reconcile.statement WHERE channel = 'none'}),
    'accepted 0 the channel has no statement for the day (NO_STATEMENT_EXIST)', 'an empty day is a statement without entries');
rule("making_$day.csv.status", qq{404\n{"code":"STATEMENT_CREATING"}});
source('making', "$base/making_{yyyyMMdd}.csv", '{}', 'good');
wait_for_message('making', 'STATEMENT_CREATING');
is($finance->safe_psql('finance', q{SELECT next_attempt_at - asked_at BETWEEN '29 minutes' AND '31 minutes' FROM reconcile.fetch_day WHERE message ~ 'CREATING'}), 't',
    'a bill that is being made is asked for in half an hour');
source('over', "$base/over_{yyyyMMdd}.csv", '{"not_found": "gone"}', 'good');
wait_for_source('over', 'gone');
pass('404 is gone where the source says so');

# ---- certificates ----
put("wrong_$day.csv", bill('w', 1));
source('wrong', "$base/wrong_{yyyyMMdd}.csv", '{}', 'stranger');
wait_for_message('wrong', q{^the server's certificate is not trusted});
is(scalar(requests(qr{/wrong_})), 0, 'nothing is asked, and no token sent, where the certificate is not trusted');

# ---- cut off, and stalled ----
my $big = bill('c', 20_000);
put("cut_$day.csv", $big);
rule("cut_$day.csv.cut", '100000');
source('cut', "$base/cut_{yyyyMMdd}.csv", '{}', 'good');
wait_for_source('cut', 'fetched');
is(entries('cut'), '20000', 'a transfer that was cut off is whole in the end');
ok(scalar requests(qr{^206 /cut_$day\.csv bytes=\d{5,}- }), 'by Range from where it was');
put("hollow_$day.csv", $big =~ s/^c/h/gmr);
rule("hollow_$day.csv.hollow", '');
rule("hollow_$day.csv.cut", '100000');
source('hollow', "$base/hollow_{yyyyMMdd}.csv", '{}', 'good');
wait_for_source('hollow', 'fetched');
ok(scalar requests(qr{^200 /hollow_$day\.csv bytes=\d+- }), 'a server that answers the rest with nothing');
is(entries('hollow'), '20000', 'does not make what was cut off whole');
put("slow_$day.csv", $big =~ s/^c/s/gmr);
rule("slow_$day.csv.stall", '50000');
source('slow', "$base/slow_{yyyyMMdd}.csv", '{}', 'good');
wait_for_query($finance, 'finance', q{SELECT count(*) FROM reconcile.fetch_file WHERE name ~ 'slow' AND state = 'partial'}, '1', 40);
my $started = time;
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('slow')});
wait_for_query($finance, 'finance', q{SELECT count(*) FROM reconcile.source_status WHERE source = 'slow' AND pid IS NOT NULL}, '0', 10);
cmp_ok(time - $started, '<=', 4, 'a server that stalls does not hold a worker that is asked to end');
unlink "$folder/.rules/slow_$day.csv.stall";
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('slow')});
wait_for_source('slow', 'fetched');
is(entries('slow'), '20000', 'afterwards it goes on');

# ---- signed addresses ----
put("signed_$day.csv", bill('g', 2));
rule("expired.csv.status", "403\nRequest has expired");
$finance->safe_psql('finance', <<"SQL");
CREATE ROLE signer NOLOGIN;
CREATE SCHEMA signing AUTHORIZATION signer;
CREATE SEQUENCE signing.asked OWNED BY NONE;
GRANT USAGE ON SEQUENCE signing.asked TO signer;
CREATE FUNCTION signing.address(channel text, account text, business_date date) RETURNS TABLE (url text, headers text[]) LANGUAGE sql AS \$\$
  SELECT CASE WHEN nextval('signing.asked') = 1 THEN '$base/expired.csv?sig=1' ELSE format('$base/signed_%s.csv?sig=2', to_char(business_date, 'YYYYMMDD')) END,
         ARRAY['X-Signed-By: ' || current_user, 'X-Account: ' || account] \$\$;
ALTER FUNCTION signing.address(text, text, date) OWNER TO signer;
SQL
source('signed', "$base/{yyyyMMdd}", '{"url_function": "signing.address", "url_role": "signer"}', 'good');
wait_for_source('signed', 'fetched');
is(entries('signed'), '2', 'a function signs the address; one that has expired is asked for again');
is($finance->safe_psql('finance', q{SELECT count(*) FROM reconcile.fetch_day WHERE message ~ 'sig='}), '0', 'no signature is in a message');

# ---- an answer that says where the bill is, with the digest of what it holds ----
my $plain = bill('v', 4);
put("v3_$day.csv.gz", FetchServers::gzip($plain));
rule("ask_$day.status", sprintf(qq{200\n{"hash_type":"SHA1","hash_value":"%s","download_url":"%s"}}, FetchServers::sha1($plain), "$base/v3_$day.csv.gz?token=x"));
source('v3', "$base/ask_{yyyyMMdd}", '{"link": {"url": "download_url", "digest": "hash_value"}}', 'good');
wait_for_source('v3', 'fetched');
is(entries('v3'), '4', 'the digest is that of the uncompressed bytes');
rule("lie_$day.status", sprintf(qq{200\n{"hash_value":"%s","download_url":"%s"}}, FetchServers::sha1('other'), "$base/v3_$day.csv.gz?token=x"));
source('lie', "$base/lie_{yyyyMMdd}", '{"link": {"url": "download_url", "digest": "hash_value"}}', 'good');
wait_for_source('lie', 'refused');
is(entries('lie'), '0', 'a bill with another digest is not taken in');
like($finance->safe_psql('finance', q{SELECT message FROM reconcile.fetch_file WHERE state = 'refused'}), qr/^its digest is [0-9a-f]{40}, and the channel states [0-9a-f]{40}$/, 'and says why');

# ---- digests in files beside ----
put("side_$day.csv", bill('d', 2));
put("side_$day.csv.sha256", ('0' x 64) . "  side_$day.csv\n");
source('side', "$base/side_{yyyyMMdd}.csv", '{"digest_file": "{name}.sha256"}', 'good');
wait_for_source('side', 'refused');
wait_for_message('side', "is refused: its digest is .* and side_$day.csv.sha256 states 0000");
is(entries('side'), '0', 'a bill whose side file says otherwise is not taken in');
put("side_$day.csv.sha256", FetchServers::sha256(bill('d', 2)) . "  side_$day.csv\n");
wait_for_source('side', 'fetched');
is(entries('side'), '2', 'until both agree');

is($finance->safe_psql('finance', q{SELECT count(*) FROM (SELECT message FROM reconcile.fetch_day UNION ALL SELECT message || coalesce(last_error, '') FROM reconcile.source_state UNION ALL SELECT message FROM reconcile.fetch_file) m WHERE message ~ 's3cr3t'}), '0',
    'no token is in a message');
$finance->stop;
unlike(slurp_file($finance->logfile) =~ s/^.*(?:LOG:  statement: |^\t).*$//gmr, qr/s3cr3t|sig=/, 'nor in the log');
FetchServers::stop($web);
done_testing();
