package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// noAssertion says in SPDX that nothing is said.
const noAssertion = "NOASSERTION"

// describe returns the SBOM of an image: the program, the Go that compiled it, and each module in it, as the linker wrote
// them into the program.
func describe(
	of release, recipe recipe, platform string, content []byte, build *debug.BuildInfo,
) ([]byte, error) {
	sum := sha256.Sum256(content)
	program := &v2_3.Package{
		PackageName: recipe.Name, PackageSPDXIdentifier: "Package-program", PackageVersion: of.Version,
		PackageFileName: binaryPath(recipe.Name), PackageDownloadLocation: noAssertion, PackageLicenseDeclared: "Apache-2.0",
		PackageChecksums:      []common.Checksum{{Algorithm: common.SHA256, Value: hex.EncodeToString(sum[:])}},
		PrimaryPackagePurpose: "APPLICATION",
	}
	document := &v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: "stepwell/" + recipe.Name + " " + platform,
		// Unique, but no address: it names what is in the program.
		DocumentNamespace: "https://github.com/stepwell/stepwell/sbom/" + recipe.Name + "/" + hex.EncodeToString(sum[:]),
		CreationInfo: &v2_3.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "stepwell-tools-images"}},
			Created:  of.Created.Format(time.RFC3339),
		},
		Packages: []*v2_3.Package{program},
		Relationships: []*v2_3.Relationship{
			related("DOCUMENT", common.TypeRelationshipDescribe, program.PackageSPDXIdentifier),
		},
	}
	contain := func(part *v2_3.Package) {
		document.Packages = append(document.Packages, part)
		document.Relationships = append(document.Relationships,
			related(program.PackageSPDXIdentifier, common.TypeRelationshipDependsOn, part.PackageSPDXIdentifier))
	}
	contain(modulePackage("stdlib", strings.TrimPrefix(build.GoVersion, "go")))
	for _, module := range build.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		version := module.Version
		if version == "(devel)" || version == "" { // another module of this repository
			version = of.Version
		}
		contain(modulePackage(module.Path, version))
	}
	var out bytes.Buffer
	err := json.Write(document, &out, json.Indent(" "), json.EscapeHTML(false))
	return out.Bytes(), err
}

// unfit is what cannot be in an identifier.
var unfit = regexp.MustCompile(`[^A-Za-z0-9.-]`)

// modulePackage is a Go module as a package of SPDX.
func modulePackage(path, version string) *v2_3.Package {
	return &v2_3.Package{
		PackageName: path, PackageVersion: version, PackageDownloadLocation: noAssertion,
		PackageSPDXIdentifier: common.ElementID("Package-go-" + unfit.ReplaceAllString(path, "-")),
		PrimaryPackagePurpose: "LIBRARY",
		PackageExternalReferences: []*v2_3.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL,
			Locator: "pkg:golang/" + path + "@" + url.PathEscape(version),
		}},
	}
}

func related(from common.ElementID, how string, to common.ElementID) *v2_3.Relationship {
	return &v2_3.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, Relationship: how, RefB: common.DocElementID{ElementRefID: to},
	}
}
