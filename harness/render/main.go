// Fills a manifest in as Harness does: Go's text/template, sprig, toYaml and fromYaml.
//
//	render values.yaml <manifest
//
// Stricter in one thing: a name that the values do not have is an error, not "<no value>".
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v2"
)

func functions() template.FuncMap {
	all := sprig.TxtFuncMap()
	all["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	all["fromYaml"] = func(text string) (map[string]interface{}, error) {
		value := map[string]interface{}{}
		return value, yaml.Unmarshal([]byte(text), &value)
	}
	return all
}

// Maps with names as keys, as sprig's functions want them.
func named(value interface{}) interface{} {
	switch value := value.(type) {
	case map[interface{}]interface{}:
		result := map[string]interface{}{}
		for name, inner := range value {
			result[fmt.Sprint(name)] = named(inner)
		}
		return result
	case []interface{}:
		for i := range value {
			value[i] = named(value[i])
		}
	}
	return value
}

func render(valuesFile string, manifest io.Reader, out io.Writer) error {
	text, err := os.ReadFile(valuesFile)
	if err != nil {
		return err
	}
	var values interface{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("%s: %w", valuesFile, err)
	}
	source, err := io.ReadAll(manifest)
	if err != nil {
		return err
	}
	parsed, err := template.New("manifest").Funcs(functions()).Option("missingkey=error").Parse(string(source))
	if err != nil {
		return err
	}
	return parsed.Execute(out, map[string]interface{}{"Values": named(values)})
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: render values.yaml <manifest")
		os.Exit(2)
	}
	if err := render(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
