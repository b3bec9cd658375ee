package doctor

import (
	"encoding/json"
	"errors"
	"maps"

	"github.com/go-sql-driver/mysql"
)

const errNoSuchTable = 1146 // ER_NO_SUCH_TABLE

// number is the server's error number, 0 when err is none of a server.
func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// essential takes out of a JSON object what differs between equal accounts; other text is left as it is.
func essential(value string) string {
	var object map[string]any
	if len(value) == 0 || value[0] != '{' || json.Unmarshal([]byte(value), &object) != nil {
		return value
	}
	maps.DeleteFunc(object, func(key string, _ any) bool { return key == "version_id" || incidental(key) })
	text, err := json.Marshal(object) // keys are sorted
	if err != nil {
		return value
	}
	return string(text)
}
