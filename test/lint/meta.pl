#!/usr/bin/perl
# Checks META.json by PGXN's Meta Spec 1.0.0 (https://pgxn.org/spec/), and that it agrees with the control file.
use strict;
use warnings;
use JSON::PP;

my ($root) = @ARGV;
my @wrong;
my $meta = decode_json(slurp("$root/META.json"));
my %control = slurp("$root/pg_reconcile.control") =~ /^(\w+)\s*=\s*'?([^'\n]*)'?\s*$/mg;

my $semver = qr/^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-?[A-Za-z][-0-9A-Za-z]*)?$/;
my $term = qr/^[^\s\/\\[:cntrl:]]{2,}$/;

need($meta, 'name', $term);
need($meta, 'version', $semver);
need($meta, 'abstract', qr/\S/);
need($meta, 'license', qr/^(?:agpl_3|apache_1_1|apache_2_0|artistic_1|artistic_2|bsd|freebsd|gfdl_1_2|gfdl_1_3|gpl_1|gpl_2|gpl_3|lgpl_2_1|lgpl_3_0|mit|mozilla_1_0|mozilla_1_1|openssl|perl_5|postgresql|qpl_1_0|ssleay|sun|zlib|open_source|restricted|unrestricted|unknown)$/);
my @maintainers = ref $meta->{maintainer} eq 'ARRAY' ? @{ $meta->{maintainer} } : ($meta->{maintainer});
wrong('maintainer is missing') if !@maintainers || grep { !defined || ref || !/\S/ } @maintainers;
wrong('meta-spec.version is not 1.0.0') if ($meta->{'meta-spec'}{version} || '') ne '1.0.0';
wrong('release_status') if defined $meta->{release_status} && $meta->{release_status} !~ /^(?:stable|testing|unstable)$/;

wrong('provides is empty') if !%{ $meta->{provides} || {} };
foreach my $name (sort keys %{ $meta->{provides} || {} }) {
    my $extension = $meta->{provides}{$name};
    need($extension, 'file', qr/\S/, "provides.$name.");
    need($extension, 'version', $semver, "provides.$name.");
    foreach my $path (grep { defined } @{$extension}{qw(file docfile)}) {
        wrong("provides.$name: no file $path") if !-f "$root/$path";
    }
}
my $phases = $meta->{prereqs} || {};
foreach my $phase (sort keys %{$phases}) {
    wrong("prereqs.$phase is no phase") if $phase !~ /^(?:configure|build|test|runtime|develop|x_\w+)$/i;
    foreach my $relation (sort keys %{ $phases->{$phase} }) {
        wrong("prereqs.$phase.$relation") if $relation !~ /^(?:requires|recommends|suggests|conflicts|x_\w+)$/i;
        my $wanted = $phases->{$phase}{$relation};
        foreach my $package (sort keys %{$wanted}) {
            wrong("prereqs.$phase.$relation.$package: $wanted->{$package} is no version")
                if $wanted->{$package} !~ /^0$/ && grep { !/^\s*(?:[<>]=?|[=!]=)?\s*\d+\.\d+\.\d+\s*$/ } split /,/, $wanted->{$package};
        }
    }
}
my %known = map { $_ => 1 } qw(name version abstract maintainer license provides meta-spec description generated_by tags no_index
    prereqs release_status resources);
foreach my $key (keys %{$meta}) {
    wrong("$key is no field of the spec") if !$known{$key} && $key !~ /^x_/i;
}

wrong('version differs from the control file') if $meta->{version} ne $control{default_version};
wrong('pg_reconcile: version differs') if ($meta->{provides}{pg_reconcile}{version} || '') ne $control{default_version};
my ($cmake) = slurp("$root/CMakeLists.txt") =~ /project\(pg_reconcile VERSION ([\d.]+)/;
wrong("CMakeLists.txt has version $cmake") if $cmake ne $control{default_version};
wrong('the control file does not require pg_partman') if ($control{requires} || '') !~ /\bpg_partman\b/;
wrong('prereqs.runtime.requires.PostgreSQL is missing') if !$phases->{runtime}{requires}{PostgreSQL};

print "META.json: $_\n" foreach @wrong;
exit(@wrong ? 1 : 0);

sub need {
    my ($object, $key, $pattern, $prefix) = @_;
    my $value = $object->{$key};
    wrong(($prefix || '') . "$key: " . (defined $value ? "'$value'" : 'missing')) if !defined $value || ref $value || $value !~ $pattern;
    return;
}
sub wrong { push @wrong, @_; return }
sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "cannot read $path: $!\n";
    local $/ = undef;
    return scalar <$in>;
}
