module github.com/stepwell/stepwell/tools/gotally

go 1.26.0
