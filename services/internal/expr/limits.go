package expr

// Limits. Expressions come from applications and data from anyone who may send an event, so neither is trusted to be
// small. The evaluation ones are chosen so that the worst expression holds a core for a fraction of a second while
// scanning a list of tens of thousands of elements stays allowed.
const (
	// sourceBytesMax bounds the text of an expression, and with it the number of nodes of its tree.
	sourceBytesMax = 4 << 10
	// nestingMax bounds both the nesting of an expression and the length of a chain such as a + b + c. It keeps every
	// recursion over the tree shallow.
	nestingMax = 200
	// patternBytesMax bounds the text of a regular expression.
	patternBytesMax = 512
	// patternStepsMax bounds the compiled size of a regular expression, which a repetition such as x{1000} makes far
	// larger than its text.
	patternStepsMax = 2000
	// costMax bounds one evaluation, in steps. A step is one node, one element or bytesPerStep bytes looked at: some
	// ten to a hundred nanoseconds.
	costMax = 1_000_000
	// bytesPerStep is how many bytes a plain scan or copy handles in a step.
	bytesPerStep = 32
	// patternWorkPerStep is how many bytes times instructions a regular expression match handles in a step.
	patternWorkPerStep = 16
	// patternCompileSteps is the price, for each byte, of compiling a regular expression that is not a literal.
	patternCompileSteps = 64
	// zoneSteps is the price of looking up a time zone by name, which may read a file.
	zoneSteps = 1000
	// textBytesMax bounds every text an expression builds.
	textBytesMax = 1 << 20
	// dataDepthMax bounds the nesting of values that are compared or turned into text.
	dataDepthMax = 1000
	// messageBytesMax bounds the message of an error, which may quote data.
	messageBytesMax = 256
)
