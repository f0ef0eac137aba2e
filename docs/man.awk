# The manual page, from what ./deepnet --help says.
#
#     ./deepnet --help | awk -f docs/man.awk version=1.0 >deepnet.1

# Lines stay as they are only between .nf and .fi.
function section(title, as_it_is) {
    print ".fi\n.SH " toupper(title) (as_it_is ? "\n.nf" : "")
    in_section = title
}

{
    gsub(/\.\/deepnet/, "deepnet")
    gsub(/\\/, "\\e")
    gsub(/-/, "\\-")
}

NR == 1 {
    printf ".TH DEEPNET 1 \"\" \"deepnet %s\"\n", version
    section("name")
    print "deepnet \\- train and use Transformers with DeepNorm, to 1,000 layers"
    section("synopsis", 1)
    sub(/^usage: /, "")
}
/^  deepnet/ && in_section == "synopsis" { section("examples", 1) }
/^\\-\\-name value/        { section("options") }
/^Presets /                { section("presets") }
/^Other names/             { section("other names", 1); next }
sub(/^Exit status: /, "")  { section("exit status") }
/^[A-Z][A-Za-z ]*$/        { print ".SS " $0; next }
/^  [a-z0-9\\-]+  / && in_section ~ /options|presets/ {
    print ".TP\n.B " $1
    sub(/^ *[^ ]+ +/, "")
}
{
    sub(/^ +/, "")
    print $0 == "" ? ".PP" : $0
}
END { exit !NR }        # a program that does not run has no page
