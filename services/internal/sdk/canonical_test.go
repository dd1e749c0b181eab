package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gowebpki/jcs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestCanonicalFormIsThatOfTheGoSDK: it uses this library.
func TestCanonicalFormIsThatOfTheGoSDK(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		`{}`, `[]`, `""`, `0`, `null`, ` [ true , false , null ] `, "\t{\r\n}\n",
		`{"b":[{"d":1,"c":[]}],"a":{"y":{},"x":""}}`,
		`{"10":1,"9":2,"A":3,"a":4,"":5,"aa":6,"\u20ac":7,"\ud83d\ude00":8,"\ufb33":9,"\u0080":10,"ö":11,"\r":12,"\\":13}`,
		`["\u0000\u001f\u007f\u0080\u2028\u2029","\b\f\n\r\t\"\\\/","\u0041\u00e9\u20AC\uD83D\uDE00","€é😀<&>"]`,
		`[0,-0,0.0,1.0,10.50,1e0,1E+2,1e-2,1e20,1e21,1e22,123456789012345,1234567890123456,12345678901234567890]`,
		`[1e-6,1e-7,0.0000009,5e-324,4.5e-400,1.7976931348623157e308,333333333.33333329,9007199254740993,-1.5,-1e30]`,
		strings.Repeat(`[{"b":1,"a":`, 4000) + `0` + strings.Repeat(`}]`, 4000),
	} {
		want, err := jcs.Transform([]byte(document))
		require.NoError(t, err)
		got, err := canonicalize([]byte(document))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got.json))
		require.False(t, got.repaired, document)
		again, err := canonicalize(got.json)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
}

// documents draws any JSON, spelled in any way.
func documents() *rapid.Generator[string] {
	text := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{
				`\n`, `\"`, `\\`, `\/`, `\u0061`, `\u00e9`, `\uD83D\uDE00`, `\u0000`, "€", "😀", "\ufb33", "a", "b",
			}),
			rapid.StringMatching(`[^"\\\x00-\x1f]`),
		), 0, 4).Draw(t, "parts")
		return `"` + strings.Join(parts, "") + `"`
	})
	number := rapid.OneOf(
		rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }),
		rapid.Map(rapid.Float64(), func(f float64) string { b, _ := json.Marshal(f); return string(b) }),
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,10})?([eE][+-]?[0-2]?[0-9]{1,2})?`),
	)
	space := rapid.SampledFrom([]string{"", "", "", " ", "\n\t"})
	var value func(depth int) *rapid.Generator[string]
	value = func(depth int) *rapid.Generator[string] {
		if depth == 0 {
			return rapid.OneOf(text, number, rapid.SampledFrom([]string{"true", "false", "null"}))
		}
		return rapid.OneOf(value(0), rapid.Custom(func(t *rapid.T) string {
			elements := rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "elements")
			gap := space.Draw(t, "gap")
			return "[" + gap + strings.Join(elements, gap+",") + gap + "]"
		}), rapid.Custom(func(t *rapid.T) string {
			names := rapid.SliceOfN(text, 0, 5).Draw(t, "names")
			gap := space.Draw(t, "gap")
			for i := range names {
				names[i] += gap + ":" + gap + value(depth-1).Draw(t, "value")
			}
			return gap + "{" + gap + strings.Join(names, ","+gap) + gap + "}" + gap
		}))
	}
	return value(3)
}

func TestCanonicalFormOfAnyDocument(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		document := documents().Draw(t, "document")
		got, err := canonicalize([]byte(document))
		require.NoError(t, err)
		want, err := jcs.Transform([]byte(document))
		if err != nil {
			require.True(t, got.repaired, "the library refuses it: %v", err)
			want, err = jcs.Transform(got.json)
			require.NoError(t, err)
		}
		require.Equal(t, string(want), string(got.json))
	})
}

// TestWhatHasNoCanonicalFormIsRepaired: as JavaScript reads it.
func TestWhatHasNoCanonicalFormIsRepaired(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{"a":1,"b":2,"a":3}`:              `{"a":3,"b":2}`,
		`{"a":1,"\u0061":{"b":1}}`:         `{"a":{"b":1}}`,
		`{"a":{"x":1},"b":[],"a":{"y":2}}`: `{"a":{"y":2},"b":[]}`,
		`[{"a":{"x":[{}]},"a":1},{"b":2}]`: `[{"a":1},{"b":2}]`,
		`["\ud800","\udc00x","\ud800\ud800","\ude00\ud83d","\ud83d\n","\ud83d\ude00"]`: `["�","�x","��","��","�\n","😀"]`,
		`{"\ud800":1,"a":2}`:              `{"a":2,"�":1}`,
		"[\"a\xffb\",\"\xed\xa0\x80\"]":   `["a�b","���"]`,
		"{\"\xff\":1}":                    `{"�":1}`,
		`[1e400,-1e400,1e-400]`:           `[null,null,0]`,
		`{"toJSON":1,"b":1,"a":2}`:        `{"a":2,"b":1,"toJSON":1}`,
		`[{"b":1,"a":2,"to\u004aSON":1}]`: `[{"a":2,"b":1,"toJSON":1}]`,
	} {
		got, err := canonicalize([]byte(document))
		require.NoError(t, err, document)
		require.Equal(t, want, string(got.json))
		require.True(t, got.repaired, document)
	}
}

func TestWhatIsNoJSONHasNoCanonicalForm(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `{1:2}`, `{"a" 1}`,
		`[`, `[1`, `[1,`, `[1,]`, `[1 2]`, `]`, `"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"",
		`tru`, `nul`, `fals`, `true1`, `-`, `01`, `1.`, `.5`, `1e`, `1e+`, `+1`, `0x1`,
		`NaN`, `Infinity`, `1 2`, `{}{}`, "\x00", "\xff", "\ufeff{}", `'a'`, `{"a":1]`, `[1}`,
	} {
		_, err := canonicalize([]byte(document))
		require.Error(t, err, document)
		require.False(t, json.Valid([]byte(document)), document)
	}
	rapid.Check(t, func(t *rapid.T) {
		document := []byte(rapid.StringOf(rapid.SampledFrom([]rune(`{}[]",:\u0a-+.eE1tfnrulsd `))).Draw(t, "document"))
		_, err := canonicalize(document)
		require.Equal(t, json.Valid(document), err == nil, "%v", err)
	})
}

// TestCanonicalFormTakesLinearTime: I28. Each would take minutes if something in it were quadratic.
func TestCanonicalFormTakesLinearTime(t *testing.T) {
	t.Parallel()
	var wide, reversed bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintf(&wide, `"k%07d":1,`, i)
		fmt.Fprintf(&reversed, `"\u006b%07d":1,`, 200_000-i)
	}
	deep := strings.Repeat(`{"b":`, 10_000) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat(`,"a":1}`, 10_000)
	for _, document := range []string{
		"{" + wide.String() + `"z":0}`, "{" + reversed.String() + `"z":0}`, deep,
		"{" + strings.Repeat(`"a":{},`, 200_000) + `"a":1}`,
	} {
		_, err := canonicalize([]byte(document))
		require.NoError(t, err)
	}
	_, err := canonicalize([]byte(strings.Repeat("[", 100_000)))
	require.EqualError(t, err, "the JSON is nested deeper than 10100 levels")
	_, err = canonicalize([]byte(strings.Repeat(`{"a":`, 100_000)))
	require.EqualError(t, err, "the JSON is nested deeper than 10100 levels")
}

// sizedBody is the body of a call whose run has many steps.
func sizedBody(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"ctx":{"attempt":0,"fn_id":"x"},"defers":{},"event":{"data":{},"name":"a","ts":1,"user":{}},"steps":{`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%040x":{"data":{"total":%d.50,"customer":"Ada Löwe %d","id":"c-%d","lines":[`+
			`{"sku":"a\n-1","qty":2,"price":19.99},{"sku":"b-2","qty":1,"price":5}],"ok":true,"note":null}}`, i*7919, i, i, i)
	}
	b.WriteString(`},"use_api":false,"version":2}`)
	return b.Bytes()
}

func BenchmarkSign(b *testing.B) {
	signer := NewSigner("signkey-prod-0123456789abcdef")
	for name, size := range map[string]int{"1KB": 1 << 10, "100KB": 100 << 10, "4MB": 4 << 20} {
		body := sizedBody(size)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signer.Sign(body, time.Unix(1_700_000_000, 0)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
