module github.com/stepwell/stepwell/proto

go 1.26.0
