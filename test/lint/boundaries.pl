#!/usr/bin/perl
# Proves that dependencies point one way: core <- extension, worker.
#
#   boundaries.pl ROOT POSTGRES_INCLUDE_FOLDER...
#
# - core/ includes core/ and C++: no header of PostgreSQL, nothing of extension/ or worker/, no library of a server or
#   a network;
# - extension/ includes nothing of worker/, worker/ nothing of extension/ but extension/pg/ and the contract between
#   the launcher and the workers that it starts, extension/launcher/;
# - postgres.h is included by extension/pg/*.h alone, so that every file meets it through one door;
# - nobody includes test/.
use strict;
use warnings;
use File::Find;

my ($root, @postgres) = @ARGV;
die "usage: boundaries.pl ROOT POSTGRES_INCLUDE_FOLDER...\n" if !@postgres;

# Libraries that core must not know: servers and networks. C++, Boost's header-only parts, and what reads file formats are fine.
my $module_libraries = qr{^(?:libpq|libpq/|libpq-fe\.h|curl/|libxml|librdkafka|mysql|mariadb)};

my @wrong;
my $files = 0;
chdir $root or die "cannot enter $root: $!\n";
foreach my $top (grep { -d } qw(core extension worker)) {
    find({ no_chdir => 1, wanted => sub { check($File::Find::name) if /\.(?:cc|h)$/ } }, $top);
}
die "boundaries.pl: no C++ file below $root\n" if !$files;
print "$_\n" foreach @wrong;
exit(@wrong ? 1 : 0);

sub check {
    my ($file) = @_;
    $files++;
    open my $in, '<', $file or die "cannot read $file: $!\n";
    while (my $line = <$in>) {
        next if $line !~ /^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
        my ($kind, $header) = ($1, $2);
        my $problem = problem_of($file, $kind, $header);
        push @wrong, "$file:$.: $problem: $header" if $problem;
    }
    close $in;
    return;
}

sub problem_of {
    my ($file, $kind, $header) = @_;
    return 'nobody includes test code' if $header =~ m{^test/};
    if ($file =~ m{^core/}) {
        return 'core includes core/ alone' if $kind eq '"' && $header !~ m{^core/};
        return 'core leaves the folder' if $header =~ m{\.\.};
        return 'core does not know this library' if $header =~ $module_libraries;
        # limits.h, string.h and the like exist in both worlds.
        return 'core meets a header of PostgreSQL' if $kind eq '<' && $header =~ /\.h$/ && is_postgres($header);
    }
    if ($file =~ m{^extension/}) {
        return 'extension does not know worker/' if $header =~ m{^worker/};
    }
    if ($file =~ m{^worker/}) {
        return 'worker knows of extension/ only pg/ and what the launcher tells it' if $header =~ m{^extension/(?!pg/|launcher/)};
    }
    return 'postgres.h comes through extension/pg/postgres.h' if $header eq 'postgres.h' && $file !~ m{^extension/pg/[^/]+\.h$};
    return '';
}

sub is_postgres {
    my ($header) = @_;
    return scalar grep { -e "$_/$header" } @postgres;
}
