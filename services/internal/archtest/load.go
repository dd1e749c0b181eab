package archtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// load describes the repository at root.
func load(ctx context.Context, root string) (tree, error) {
	files, err := loadFiles(root)
	if err != nil {
		return tree{}, err
	}
	var packages []goPackage
	for _, folder := range []string{"proto", "services"} {
		listed, err := loadPackages(ctx, root, folder)
		if err != nil {
			return tree{}, err
		}
		packages = append(packages, listed...)
	}
	for i := range packages {
		packages[i].generated = isGenerated(packages[i], files)
	}
	top, err := loadTop(root)
	return tree{packages: packages, files: files, top: top}, err
}

// loadPackages asks the go command for the packages of one module.
func loadPackages(ctx context.Context, root, folder string) ([]goPackage, error) {
	list := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Name,Doc,Imports,TestImports,XTestImports", "./...")
	list.Dir = filepath.Join(root, folder)
	var problems bytes.Buffer
	list.Stderr = &problems
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w: %s", folder, err, problems.String())
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			ImportPath, Name, Doc              string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read go list of %s: %w", folder, err)
		}
		below, _ := inTable(listed.ImportPath)
		packages = append(packages, goPackage{
			path: below, folder: strings.TrimPrefix(listed.ImportPath, module),
			name: listed.Name, doc: listed.Doc,
			imports: listed.Imports, testImports: slices.Concat(listed.TestImports, listed.XTestImports),
		})
	}
}

// isGenerated reports whether nobody wrote a file of the package by hand.
func isGenerated(pkg goPackage, files []goFile) bool {
	return !slices.ContainsFunc(files, func(file goFile) bool {
		return path.Dir(file.path) == pkg.folder && !file.generated
	})
}

// loadFiles reads every Go file below the folders that hold any, whatever its build tags.
func loadFiles(root string) ([]goFile, error) {
	var files []goFile
	for _, folder := range []string{"proto", "services", "tools"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && isSkipped(entry.Name()):
				return filepath.SkipDir
			case entry.IsDir() || filepath.Ext(name) != ".go":
				return nil
			}
			below, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			file, err := loadFile(name, filepath.ToSlash(below))
			files = append(files, file)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", folder, err)
		}
	}
	return files, nil
}

// isSkipped names the folders that the go command ignores too, and what npm installs.
func isSkipped(folder string) bool {
	return folder == "testdata" || folder == "vendor" || folder == "node_modules" ||
		strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_")
}

func loadFile(name, below string) (goFile, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return goFile{}, err
	}
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, below, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return goFile{}, err
	}
	return goFile{
		path:      below,
		lineCount: bytes.Count(source, []byte("\n")),
		generated: ast.IsGenerated(syntax),
		calls:     findCalls(set, syntax),
	}, nil
}

// findCalls lists where a file uses a function that some rule restricts, under whatever name it imports the package.
func findCalls(set *token.FileSet, file *ast.File) []call {
	restricted := []string{"os.ExpandEnv", "os.Getenv", "os.LookupEnv", "time.Sleep"}
	imported := map[string]string{} // name in this file → import path
	for _, spec := range file.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser accepts none such
		}
		name := path.Base(importPath)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = importPath
	}
	var calls []call
	ast.Inspect(file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if qualifier, ok := selector.X.(*ast.Ident); ok {
			name := imported[qualifier.Name] + "." + selector.Sel.Name
			if slices.Contains(restricted, name) {
				calls = append(calls, call{name: name, line: set.Position(selector.Pos()).Line})
			}
		}
		return true
	})
	return calls
}

// loadTop lists the top of the repository, without the folders that .gitignore names there: they are not part of it.
func loadTop(root string) ([]topEntry, error) {
	ignored, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var top []topEntry
	for _, entry := range entries {
		if entry.IsDir() && slices.Contains(strings.Fields(string(ignored)), "/"+entry.Name()+"/") {
			continue
		}
		_, err := os.Stat(filepath.Join(root, entry.Name(), "README.md"))
		top = append(top, topEntry{name: entry.Name(), isFolder: entry.IsDir(), hasReadme: err == nil})
	}
	return top, nil
}
