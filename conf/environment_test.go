package conf

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestUnknownVariables(t *testing.T) {
	service := map[string]string{
		"ONEWRITER_SERVICE_HOST": "10.0.0.1", "ONEWRITER_SERVICE_PORT": "6446", "ONEWRITER_SERVICE_PORT_MYSQL": "6446", "ONEWRITER_PORT": "tcp://10.0.0.1:6446",
		"ONEWRITER_PORT_6446_TCP": "tcp://10.0.0.1:6446", "ONEWRITER_PORT_6446_TCP_PROTO": "tcp", "ONEWRITER_PORT_6446_TCP_PORT": "6446", "ONEWRITER_PORT_6446_TCP_ADDR": "10.0.0.1",
		"ONEWRITER_ADMIN_SERVICE_HOST": "10.0.0.2", "ONEWRITER_ADMIN_SERVICE_PORT": "8989", "ONEWRITER_ADMIN_PORT": "tcp://10.0.0.2:8989", "ONEWRITER_ADMIN_PORT_8989_TCP": "tcp://10.0.0.2:8989",
	}
	for name, c := range map[string]struct {
		vars       map[string]string
		wrong, odd []string // in the error, in the warnings; nothing else may be there
	}{
		"typo":           {map[string]string{"ONEWRITER_ADMIN_ADRESS": "x"}, []string{"ONEWRITER_ADMIN_ADRESS: is an environment variable that is no option: did you mean ONEWRITER_ADMIN_ADDRESS?"}, nil},
		"typo deep":      {map[string]string{"ONEWRITER_CLUSTERS_0_HEALTH_INTERVALL": "1s"}, []string{"did you mean ONEWRITER_CLUSTERS_0_HEALTH_INTERVAL?"}, nil},
		"like nothing":   {map[string]string{"ONEWRITER_QQQ": "1"}, nil, []string{"ONEWRITER_QQQ: is an environment variable that is no option, nothing reads it"}},
		"no such entry":  {map[string]string{"ONEWRITER_CLUSTERS_0_SERVERS_5_ADDRESS": "h:1"}, []string{"ONEWRITER_CLUSTERS_0_SERVERS_5_ADDRESS: is an environment variable for an entry of a list that the file does not have"}, nil},
		"no such list":   {map[string]string{"ONEWRITER_CLUSTERS_0_USERS_0_NAME": "u"}, []string{"for an entry of a list"}, nil},
		"others":         {map[string]string{"ONEWRITER_ADMIN": "h:1", "ONEWRITER_CACHE": "/x", "ONEWRITERS": "x", "PATH": "/bin"}, nil, nil},
		"options":        {map[string]string{"ONEWRITER_ADMIN_TOKEN": "0123456789abcdef0123456789abcdef", "ONEWRITER_STATE_DIR": "/tmp"}, nil, nil},
		"a service":      {service, nil, nil},
		"half a service": {map[string]string{"ONEWRITER_PORT": "tcp://10.0.0.1:6446", "ONEWRITER_PORT_6446_TCP": "tcp://10.0.0.1:6446"}, nil, []string{"ONEWRITER_PORT: is", "ONEWRITER_PORT_6446_TCP: is"}},
		"a port":         {map[string]string{"ONEWRITER_ADMIN_PORT": "9000"}, []string{"ONEWRITER_ADMIN_PORT: is an environment variable that is no option"}, nil},
		"several":        {map[string]string{"ONEWRITER_LOG_LEVLE": "debug", "ONEWRITER_STATEDIR": "/x"}, []string{"ONEWRITER_LOG_LEVEL?", "ONEWRITER_STATE_DIR?"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := parse(t, small, c.vars)
			var wrong, odd []Problem
			if err != nil {
				wrong = err.(*Error).Problems //nolint:errorlint // Parse returns nothing else
			} else {
				odd = cfg.Warnings
			}
			compareProblems(t, "error", wrong, c.wrong)
			compareProblems(t, "warning", odd, c.odd)
		})
	}
}

func compareProblems(t *testing.T, kind string, got []Problem, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%ss %v, want %q", kind, got, want)
	}
	for i, p := range got {
		if !strings.Contains(p.String(), want[i]) {
			t.Errorf("%s %q does not say %q", kind, p, want[i])
		}
	}
}

// TestVariablesOfTheFile checks that a variable which the file names itself may be called as people like.
func TestVariablesOfTheFile(t *testing.T) {
	text := strings.Replace(small, "geheim-xyz", `"${ONEWRITER_PASSWORD}"`, 1)
	if _, err := parse(t, text, map[string]string{"ONEWRITER_PASSWORD": "x"}); err != nil {
		t.Error(err)
	}
}

// TestVariablesBelowAProblem checks that what could not be read does not make strangers of the variables for it.
func TestVariablesBelowAProblem(t *testing.T) {
	text := strings.Replace(small, "servers:\n      - {name: a, address: \"127.0.0.1:3306\"}", "servers: a", 1)
	_, err := parse(t, text, map[string]string{"ONEWRITER_CLUSTERS_0_SERVERS_0_ADDRESS": "h:1"})
	if err == nil || !strings.Contains(err.Error(), "1 problem\n") {
		t.Error(err)
	}
}

// TestVariablesOfThisRepository checks that every variable that anything here names is an option or listed: a test would
// keep the program that it starts from starting.
func TestVariablesOfThisRepository(t *testing.T) {
	variable := regexp.MustCompile(`\bONEWRITER_[A-Z0-9_]*[A-Z0-9]\b`)
	keys := envPatterns(reflect.TypeFor[Config](), "")
	made := []string{"ONEWRITER_CONTROL_PASSWORD", "ONEWRITER_TEST"} // by ${...} in the example; for a child of a test
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || d.Name() == "environment_test.go" || !slices.Contains([]string{".go", ".md", ".yaml", "", ".mk", ".sh"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range variable.FindAllString(string(text), -1) {
			if !keys[numbers.ReplaceAllString(name, "[]$1")] && !slices.Contains(otherVariables, name) && !slices.Contains(made, name) {
				t.Errorf("%s names %s, which is no option: add it to otherVariables", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
