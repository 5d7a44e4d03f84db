# Writes the files that `pipefw new` starts from, as C: one entry of pfw_templates
# for each file ARGV names, .../new/KIND/FILE or .../new/FILE for every kind.
BEGIN {
	print "#include \"cli/templates.h\"\n"
	print "const struct pfw_template pfw_templates[] = {"
}
FNR == 1 {
	if (NR > 1)
		print "\t},"
	n = split(FILENAME, part, "/")
	kind = part[n - 1] == "new" ? "" : part[n - 1]
	printf "\t{ \"%s\", \"%s\",\n", kind, part[n]
}
{
	gsub(/\\/, "&&")
	gsub(/"/, "\\\\&")
	print "\t  \"" $0 "\\n\""
}
END {
	print "\t},\n};\n"
	print "const size_t pfw_n_templates ="
	print "\tsizeof(pfw_templates) / sizeof(pfw_templates[0]);"
}
