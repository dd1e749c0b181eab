module github.com/stepwell/stepwell/tools/e2e/apps/go13

go 1.26.0

replace github.com/stepwell/stepwell/tools/e2e/apps/kitchensink => ../kitchensink

require (
	github.com/inngest/inngestgo v0.13.0
	github.com/stepwell/stepwell/tools/e2e/apps/kitchensink v0.0.0
)

require (
	github.com/coder/websocket v1.8.12 // indirect
	github.com/fatih/structs v1.1.0 // indirect
	github.com/gosimple/slug v1.12.0 // indirect
	github.com/gosimple/unidecode v1.0.1 // indirect
	github.com/gowebpki/jcs v1.0.0 // indirect
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/inngest/inngest v1.8.2-0.20250623215333-d2cfeecbae74 // indirect
	github.com/oklog/ulid/v2 v2.1.0 // indirect
	github.com/pbnjay/memory v0.0.0-20210728143218-7b4eea64cf58 // indirect
	github.com/xhit/go-str2duration/v2 v2.1.0 // indirect
	golang.org/x/sync v0.12.0 // indirect
	google.golang.org/protobuf v1.35.1 // indirect
)
