# Given vsftpd with TLS and a certificate of an authority of its own, and files that are encrypted with PGP,
# when days come, certificates are not trusted, and files are damaged or encrypted for somebody else,
# then what can be read is taken in once, and the rest is refused with a reason.

use strict;
use warnings;
use File::Temp;
use FetchServers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

plan skip_all => 'vsftpd is not installed' if !-x '/usr/sbin/vsftpd';
plan skip_all => 'gpg is not installed' if !-x '/usr/bin/gpg';

my $folder = File::Temp->newdir;
my $keys = File::Temp->newdir;
my $store = File::Temp->newdir;
my $ftp = FetchServers::ftps_server("$folder");
my $finance = reconcile_node('finance', conf => "pg_reconcile.store_directory = '$store'\n");
$finance->start;
$finance->safe_psql('postgres', 'CREATE DATABASE finance');
create_extension($finance, 'finance');
my $day = $finance->safe_psql('postgres', "SELECT to_char((now() AT TIME ZONE 'Asia/Shanghai')::date - 1, 'YYYYMMDD')");
my $iso = $day =~ s/(....)(..)(..)/$1-$2-$3/r;

sub bill { my ($prefix, $rows) = @_; return "#account=6222\n#business_date=$iso\norder_key,kind,amount\n" . join('', map { "$prefix-$_,payment,1.00\n" } 1 .. $rows); }
sub put { my ($name, $content) = @_; FetchServers::write_file("$folder/.new", $content, 0644); rename("$folder/.new", "$folder/files/$name") or die $!; return; }
sub source {
    my ($name, $location, $server, $options) = @_;
    $finance->safe_psql('finance', <<"SQL");
SELECT reconcile.create_channel('$name', 'Asia/Shanghai', 'CNY', account => '6222', first_date => '$day');
SELECT reconcile.create_file_source('$name', '$name', 'generic.csv', '$location', account => '6222',
    options => '{"server": "$server", "ask_after": "-1 day", "every": "2 seconds", "stall_seconds": 20}'::jsonb || '$options');
SQL
    return;
}
sub of_day { my ($name, $what) = @_; return "SELECT $what FROM reconcile.fetch_day d JOIN reconcile.source s USING (source_id) WHERE s.name = '$name'"; }
sub wait_for_source {
    my ($name, $expected) = @_;
    eval { wait_for_query($finance, 'finance', of_day($name, 'd.state'), $expected, 40) } or diag($finance->safe_psql('finance', of_day($name, 'd.message'))), die $@;
    return;
}
sub entries { return $finance->safe_psql('finance', "SELECT count(*) FROM reconcile.entry WHERE channel = '$_[0]'"); }

# Two people with a key each; ours has a passphrase.
my $ours = FetchServers::gpg_home("$keys/ours", 'ours@example.com', 'p4ss phrase');
my $theirs = FetchServers::gpg_home("$keys/theirs", 'theirs@example.com', '');
$finance->safe_psql('finance', <<"SQL");
CREATE SERVER ftp FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '127.0.0.1', port '$ftp->{port}', sslrootcert '$ftp->{ca}', gpg_homedir '$ours');
CREATE USER MAPPING FOR reconcile_worker SERVER ftp OPTIONS (user 'anonymous', password 's3cr3t', gpg_passphrase 'p4ss phrase');
CREATE SERVER stranger FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '127.0.0.1', port '$ftp->{port}');
CREATE USER MAPPING FOR reconcile_worker SERVER stranger OPTIONS (user 'anonymous', password 's3cr3t');
CREATE SERVER locked FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '127.0.0.1', port '$ftp->{port}', sslrootcert '$ftp->{ca}', gpg_homedir '$ours');
CREATE USER MAPPING FOR reconcile_worker SERVER locked OPTIONS (user 'anonymous', password 's3cr3t', gpg_passphrase 'wrong');
CREATE SERVER outsider FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '127.0.0.1', port '$ftp->{port}', sslrootcert '$ftp->{ca}');
CREATE USER MAPPING FOR reconcile_worker SERVER outsider OPTIONS (user 'nobody-we-know', password 's3cr3t');
SQL

# ---- FTPS ----
source('plain', 'ftps://files/plain_{yyyyMMdd}*.csv', 'ftp', '{"digest_file": "{name}.sha256"}');
wait_for_query($finance, 'finance', of_day('plain', q{d.message ~ '^there is no file'}), 't', 40);
pass('a file that is not there yet is awaited');
put("plain_${day}_1.csv.part", 'half');
put("plain_${day}_1.csv.sha256", FetchServers::sha256(bill('p', 3)) . "\n");
put("plain_${day}_1.csv", bill('p', 3));
wait_for_source('plain', 'fetched');
is(entries('plain'), '3', 'then it is taken in');
source('one', '{yyyyMMdd}' =~ s/^/ftps:\/\/files\/one_/r . '.csv', 'ftp', '{}');
wait_for_query($finance, 'finance', of_day('one', q{d.message ~ '^there is no file files/one_'}), 't', 40);
put("one_$day.csv", bill('o', 2));
wait_for_source('one', 'fetched');
is(entries('one'), '2', 'a file of a name that is known, too');
source('wrong', 'ftps://files/plain_{yyyyMMdd}_1.csv', 'stranger', '{}');
wait_for_query($finance, 'finance', of_day('wrong', q{d.state || d.message ~ $re$^failingthe server's certificate is not trusted$re$}), 't', 40);
is(entries('wrong'), '0', 'a certificate that is not trusted is refused');
source('out', 'ftps://files/plain_{yyyyMMdd}_1.csv', 'outsider', '{}');
wait_for_query($finance, 'finance', q{SELECT state || ' ' || cause FROM reconcile.source_status WHERE source = 'out'}, 'paused worker', 40);
like($finance->safe_psql('finance', q{SELECT last_error FROM reconcile.source_status WHERE source = 'out'}), qr/^the channel does not let us in/, 'who is not let in does not try again');

# ---- PGP ----
put("pgp_$day.csv.gpg", FetchServers::gpg_encrypt($ours, 'ours@example.com', bill('g', 4)));
source('pgp', 'ftps://files/pgp_{yyyyMMdd}.csv.gpg', 'ftp', '{"decrypt": "gpg"}');
wait_for_source('pgp', 'fetched');
is(entries('pgp'), '4', 'an encrypted file is decrypted and taken in');
is($finance->safe_psql('finance', q{SELECT file_name FROM reconcile.statement WHERE channel = 'pgp'}), "pgp_$day.csv", 'under its own name');
source('locked', 'ftps://files/pgp_{yyyyMMdd}.csv.gpg', 'locked', '{"decrypt": "gpg", "every": "1 hour"}');
wait_for_source('locked', 'refused');
like($finance->safe_psql('finance', of_day('locked', 'd.message')), qr/is refused: gpg cannot decrypt it: .*(?:[Bb]ad passphrase|No secret key)/, 'with a wrong passphrase it is not');
put("other_$day.csv.gpg", FetchServers::gpg_encrypt($theirs, 'theirs@example.com', bill('x', 4)));
source('other', 'ftps://files/other_{yyyyMMdd}.csv.gpg', 'ftp', '{"decrypt": "gpg", "every": "1 hour"}');
wait_for_source('other', 'refused');
like($finance->safe_psql('finance', of_day('other', 'd.message')), qr/gpg cannot decrypt it: .*No secret key/, 'nor one that is for somebody else');
my $damaged = FetchServers::gpg_encrypt($ours, 'ours@example.com', bill('d', 400));
substr($damaged, 700, 40) = 'x' x 40;
put("damaged_$day.csv.gpg", $damaged);
source('damaged', 'ftps://files/damaged_{yyyyMMdd}.csv.gpg', 'ftp', '{"decrypt": "gpg", "every": "1 hour"}');
wait_for_source('damaged', 'refused');
is(entries('damaged'), '0', 'nor one that is damaged');
put("bomb_$day.csv.gpg", FetchServers::gpg_encrypt($ours, 'ours@example.com', "\n" x 20_000_000));
source('bomb', 'ftps://files/bomb_{yyyyMMdd}.csv.gpg', 'ftp', '{"decrypt": "gpg", "bytes_max": 1000000, "every": "1 hour"}');
wait_for_source('bomb', 'refused');
is(join(' ', grep { !m{/plain_} } glob("$store/fetch/*/*/*")), '', 'nothing of what was refused is left');
is(scalar(() = FetchServers::gpg_agents("$ours")), 0, 'and no agent stays behind');

is($finance->safe_psql('finance', q{SELECT count(*) FROM (SELECT message FROM reconcile.fetch_day UNION ALL SELECT message || coalesce(last_error, '') FROM reconcile.source_state UNION ALL SELECT message FROM reconcile.fetch_file) m WHERE message ~ 's3cr3t|p4ss'}), '0',
    'no secret is in a message');
$finance->stop;
FetchServers::stop($ftp);
done_testing();
