#!/usr/bin/perl
# Every relative link of a document leads to a file of the tree, and every anchor to a heading there (as GitHub names them).
#
#   links.pl folder document.md ...
use strict;
use warnings;
use utf8;
use File::Basename qw(dirname);
use Encode qw(decode);
binmode STDOUT, ':encoding(UTF-8)';

my ($root, @documents) = @ARGV;
my (@wrong, %anchors_of);
my $links = 0;
foreach my $document (@documents) {
    my $number = 0;
    foreach my $line (split /\n/, prose("$root/$document")) {
        ++$number;
        while ($line =~ /\[[^\]]*\]\(([^)\s]+)\)/g) {
            my $target = $1;
            next if $target =~ /^[a-z]+:/;
            ++$links;
            my ($path, $anchor) = $target =~ /^([^#]*)(?:#(.*))?$/;
            my $file = $path eq '' ? "$root/$document" : dirname("$root/$document") . "/$path";
            if (!-e $file) { push @wrong, "$document:$number: no file $target" }
            elsif (defined $anchor && !anchors($file)->{$anchor}) { push @wrong, "$document:$number: no heading $target" }
        }
    }
}
push @wrong, 'no link was found' if !$links;
print "$_\n" foreach @wrong;
exit(@wrong ? 1 : 0);

# The headings, lower case, spaces as dashes, punctuation gone, repetitions numbered.
sub anchors {
    my ($file) = @_;
    return $anchors_of{$file} if $anchors_of{$file};
    my (%anchors, %seen);
    return $anchors_of{$file} = \%anchors if $file !~ /\.md$/;
    foreach my $line (split /\n/, prose($file)) {
        next if $line !~ /^#+\s+(.*?)\s*$/;
        my $anchor = lc $1 =~ s/\[([^\]]*)\]\([^)]*\)/$1/gr =~ s/[^\w\- ]//gr =~ s/ /-/gr;
        my $n = $seen{$anchor}++;
        $anchors{ $n ? "$anchor-$n" : $anchor } = 1;
    }
    return $anchors_of{$file} = \%anchors;
}

# The text with its fenced blocks and code spans emptied, line by line.
sub prose {
    my ($path) = @_;
    open my $in, '<:encoding(UTF-8)', $path or die "cannot read $path: $!\n";
    my ($fenced, @line) = (0);
    while (my $line = <$in>) {
        chomp $line;
        if ($line =~ /^\s*```/) { $fenced = !$fenced; $line = '' }
        push @line, $fenced ? '' : $line =~ /^#/ ? $line : $line =~ s/`[^`]*`//gr;
    }
    return join "\n", @line;
}
