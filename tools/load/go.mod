module github.com/stepwell/stepwell/tools/load

go 1.26.0
