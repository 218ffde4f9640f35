package FetchServers;

# Real servers that channel files are fetched from, as the account that runs the test, on loopback and ports of
# their own.
#
#   my $ssh = FetchServers::sftp_server($folder);        OpenSSH behind a relay: port, known_hosts, key, rsa_key
#   FetchServers::throttle($ssh, 1); stall($ssh);        slow, or silent after what is under way
#   FetchServers::change_host_key($ssh); fingerprint($ssh);
#   FetchServers::stop($server);

use strict;
use warnings;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use Time::HiRes qw(time usleep);

# Whatever ends the test ends its servers.
my @running;
END { my $status = $?; stop($_) foreach @running; $? = $status; }

sub write_file {
    my ($path, $content, $mode) = @_;
    open(my $out, '>', $path) or die "$path: $!";
    print $out $content;
    close($out) or die "$path: $!";
    chmod($mode, $path) if defined $mode;
    return $path;
}

sub run_quietly {
    my (@command) = @_;
    system("@command >/dev/null 2>&1") == 0 or die "failed: @command\n";
    return;
}

sub start_program {
    my ($server, $log, @command) = @_;
    my $pid = fork();
    defined $pid or die "fork: $!";
    if ($pid == 0) {
        setpgrp(0, 0);
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>>', $log);
        open(STDERR, '>>', $log);
        exec { $command[0] } @command or exit 127;
    }
    push @{ $server->{pids} }, $pid;
    return $pid;
}

sub wait_for_port {
    my ($port) = @_;
    my $deadline = time + 20;
    while (time < $deadline) {
        return if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp');
        usleep(20_000);
    }
    die "nothing listens on port $port\n";
}

sub stop {
    my ($server) = @_;
    foreach my $pid (@{ delete $server->{pids} || [] }) {
        kill('KILL', -$pid);
        kill('KILL', $pid);
        waitpid($pid, 0);
    }
    return;
}

# ---- OpenSSH -------------------------------------------------------------------------------------------------

sub sftp_server {
    my ($home) = @_;
    my $folder = "$home/.sshd";
    mkdir $folder or die "$folder: $!";
    my $server = { folder => $folder, ssh_port => PostgreSQL::Test::Cluster::get_free_port(), port => PostgreSQL::Test::Cluster::get_free_port() };
    run_quietly('ssh-keygen', '-q', '-t', 'ed25519', '-N', "''", '-f', "$folder/key");
    run_quietly('ssh-keygen', '-q', '-t', 'rsa', '-b', '2048', '-N', "''", '-f', "$folder/rsa_key");
    open(my $keys, '>', "$folder/authorized_keys") or die "$folder: $!";
    foreach my $name ('key', 'rsa_key') {
        open(my $in, '<', "$folder/$name.pub") or die "$name: $!";
        print {$keys} readline($in);
    }
    close($keys) or die "$folder: $!";
    write_file("$folder/sshd_config", <<"CONF");
Port $server->{ssh_port}
ListenAddress 127.0.0.1
HostKey $folder/host_key
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
AuthorizedKeysFile $folder/authorized_keys
Subsystem sftp internal-sftp
LogLevel ERROR
CONF
    @{$server}{qw(key rsa_key known_hosts)} = ("$folder/key", "$folder/rsa_key", "$folder/known_hosts");
    new_host_key($server);
    write_known_hosts($server);
    start_program($server, "$folder/relay.log", $^X, '-e', relay_program(), $server->{port}, $server->{ssh_port}, $folder);
    push @running, $server;
    wait_for_port($server->{port});
    return $server;
}

sub new_host_key {
    my ($server) = @_;
    my $folder = $server->{folder};
    if (my $pid = delete $server->{sshd}) {
        kill('KILL', -$pid);
        waitpid($pid, 0);
        @{ $server->{pids} } = grep { $_ != $pid } @{ $server->{pids} };
    }
    unlink "$folder/host_key", "$folder/host_key.pub";
    run_quietly('ssh-keygen', '-q', '-t', 'ed25519', '-N', "''", '-f', "$folder/host_key");
    $server->{sshd} = start_program($server, "$folder/sshd.log", '/usr/sbin/sshd', '-D', '-e', '-f', "$folder/sshd_config");
    wait_for_port($server->{ssh_port});
    return;
}

sub host_key { my ($server) = @_; open(my $in, '<', "$server->{folder}/host_key.pub") or die $!; return join ' ', (split / /, readline($in))[0, 1]; }
sub write_known_hosts { my ($server) = @_; return write_file($server->{known_hosts}, "[127.0.0.1]:$server->{port} " . host_key($server) . "\n"); }
sub change_host_key { my ($server) = @_; new_host_key($server); return; }

sub fingerprint {
    my ($server) = @_;
    my $line = `ssh-keygen -l -E sha256 -f $server->{folder}/host_key.pub`;
    return $line =~ /(SHA256:\S+)/ ? $1 : die "no fingerprint: $line\n";
}

# A relay between client and server that can be slow, or silent: its folder says how.
sub throttle { my ($server, $on) = @_; unlink "$server->{folder}/stall", "$server->{folder}/slow"; write_file("$server->{folder}/slow", '') if $on; return; }
sub stall { my ($server) = @_; return write_file("$server->{folder}/stall", ''); }
sub relay_log_size { my ($server) = @_; return -s "$server->{folder}/relay.log"; }

# How many bytes the server sent in each connection that ended after the relay's log had that size.
sub relayed {
    my ($server, $from) = @_;
    open(my $in, '<', "$server->{folder}/relay.log") or die $!;
    seek($in, $from, 0);
    return map { /^(\d+) bytes$/ ? $1 : () } readline($in);
}

sub relay_program {
    return <<'PERL';
use strict; use IO::Socket::INET; use IO::Select; use Time::HiRes qw(usleep);
my ($port, $target, $folder) = @ARGV;
$SIG{CHLD} = 'IGNORE'; $| = 1;
my $door = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 20, ReuseAddr => 1) or die "listen: $!";
while (my $client = $door->accept) {
    next if fork;
    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $target) or exit 1;
    my $both = IO::Select->new($client, $server);
    my $sent = 0;
    RELAY: while (1) {
        foreach my $from ($both->can_read(1)) {
            my $slow = -e "$folder/slow" && $from == $server;
            my $limit = $slow ? 16384 : 262144;
            usleep(50_000) if $slow && $sent > 65536;
            usleep(100_000) while -e "$folder/stall" && $from == $server && $sent > 16384;
            my $count = sysread($from, my $bytes, $limit);
            last RELAY if !$count;
            $sent += $count if $from == $server;
            my $to = $from == $client ? $server : $client;
            for (my $at = 0; $at < $count;) { my $put = syswrite($to, $bytes, $count - $at, $at); last RELAY if !$put; $at += $put; }
        }
    }
    print "$sent bytes\n";
    exit 0;
}
PERL
}

# ---- HTTPS, and certificates -----------------------------------------------------------------------------------

# An authority, and a certificate of it for 127.0.0.1: files ca.pem, cert.pem, key.pem.
sub make_certificates {
    my ($folder) = @_;
    run_quietly('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=test authority"',
        '-addext basicConstraints=critical,CA:TRUE', '-keyout', "$folder/ca_key.pem", '-out', "$folder/ca.pem");
    run_quietly('openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1', '-keyout', "$folder/key.pem", '-out', "$folder/request.pem");
    write_file("$folder/names", "subjectAltName=IP:127.0.0.1\n");
    run_quietly('openssl x509 -req -days 2 -CAcreateserial', '-in', "$folder/request.pem", '-CA', "$folder/ca.pem", '-CAkey',
        "$folder/ca_key.pem", '-extfile', "$folder/names", '-out', "$folder/cert.pem");
    return;
}

sub https_server {
    my ($folder) = @_;
    my $tls = "$folder/.tls";
    mkdir $_ or die "$_: $!" foreach $tls, "$folder/.rules";
    make_certificates($tls);
    my $server = { port => PostgreSQL::Test::Cluster::get_free_port(), ca => "$tls/ca.pem" };
    my $program = __FILE__ =~ s{[^/]*$}{https_server.py}r;
    start_program($server, "$tls/log", 'python3', $program, $server->{port}, "$tls/cert.pem", "$tls/key.pem", $folder);
    push @running, $server;
    wait_for_port($server->{port});
    return $server;
}

# ---- FTPS ------------------------------------------------------------------------------------------------------

# Anonymous, for that needs no root; everything below $folder/files.
sub ftps_server {
    my ($folder) = @_;
    my $tls = "$folder/.tls";
    mkdir $_ or die "$_: $!" foreach $tls, "$folder/files", "$folder/.empty";
    make_certificates($tls);
    my $server = { port => PostgreSQL::Test::Cluster::get_free_port(), ca => "$tls/ca.pem" };
    my ($low, $high) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
    ($low, $high) = ($high, $low) if $low > $high;
    my $user = getpwuid($<);
    my $config = write_file("$tls/vsftpd.conf", <<"CONF", 0600);
listen=YES
listen_address=127.0.0.1
listen_port=$server->{port}
background=NO
run_as_launching_user=YES
anonymous_enable=YES
local_enable=NO
ftp_username=$user
anon_root=$folder
anon_world_readable_only=NO
allow_writeable_chroot=YES
secure_chroot_dir=$folder/.empty
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=NO
rsa_cert_file=$tls/cert.pem
rsa_private_key_file=$tls/key.pem
pasv_min_port=$low
pasv_max_port=$high
vsftpd_log_file=$tls/vsftpd.log
xferlog_enable=YES
seccomp_sandbox=NO
CONF
    start_program($server, "$tls/log", '/usr/sbin/vsftpd', $config);
    push @running, $server;
    wait_for_port($server->{port});
    return $server;
}

# ---- PGP -------------------------------------------------------------------------------------------------------

sub gpg_home {
    my ($home, $name, $passphrase) = @_;
    mkdir $home, 0700 or die "$home: $!";
    run_quietly("gpg --homedir $home --batch --pinentry-mode loopback --passphrase '$passphrase' --quick-generate-key $name default default never");
    run_quietly("gpgconf --homedir $home --kill gpg-agent");
    return $home;
}

sub gpg_encrypt {
    my ($home, $name, $bytes) = @_;
    my $plain = write_file("$home/plain", $bytes);
    run_quietly("gpg --homedir $home --batch --yes --trust-model always -r $name -o $home/encrypted -e $plain");
    open(my $in, '<:raw', "$home/encrypted") or die $!;
    local $/;
    return scalar readline($in);
}

# Agents that hold the keys of a home.
sub gpg_agents {
    my ($home) = @_;
    my @agents;
    foreach my $file (glob('/proc/[0-9]*/cmdline')) {
        open(my $in, '<', $file) or next;
        my $line = readline($in) // '';
        push @agents, $line if $line =~ /gpg-agent/ && $line =~ /\Q$home\E/;
    }
    return @agents;
}

sub gzip { my ($bytes) = @_; require IO::Compress::Gzip; IO::Compress::Gzip::gzip(\$bytes => \my $packed); return $packed; }
sub sha1 { my ($bytes) = @_; require Digest::SHA; return Digest::SHA::sha1_hex($bytes); }
sub sha256 { my ($bytes) = @_; require Digest::SHA; return Digest::SHA::sha256_hex($bytes); }

1;
