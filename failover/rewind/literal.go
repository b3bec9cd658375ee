package rewind

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// literal writes a value of column c as SQL, for a session with sql_mode without NO_BACKSLASH_ESCAPES, character set
// utf8mb4 and time zone UTC.
func literal(v any, c column) (string, error) {
	switch v := v.(type) {
	case nil:
		return "NULL", nil
	case int8:
		return integer(int64(v), uint64(uint8(v)), c), nil
	case int16:
		return integer(int64(v), uint64(uint16(v)), c), nil
	case int32:
		if c.dataType == "mediumint" {
			return integer(int64(v), uint64(uint32(v)&0xffffff), c), nil
		}
		return integer(int64(v), uint64(uint32(v)), c), nil
	case int64:
		if c.dataType == "bit" || c.dataType == "set" {
			return strconv.FormatUint(uint64(v), 10), nil
		}
		return integer(v, uint64(v), c), nil
	case int, uint, uint8, uint16, uint32, uint64:
		return fmt.Sprint(v), nil
	case float32: // its exact value, so that it can be compared
		return strconv.FormatFloat(float64(v), 'e', -1, 64), nil
	case float64:
		return strconv.FormatFloat(v, 'e', -1, 64), nil
	case string:
		return text([]byte(v), c), nil
	case []byte:
		return text(v, c), nil
	default:
		return "", fmt.Errorf("column %s: value of type %T", c.name, v)
	}
}

func integer(signed int64, unsigned uint64, c column) string {
	if c.unsigned() {
		return strconv.FormatUint(unsigned, 10)
	}
	return strconv.FormatInt(signed, 10)
}

// text writes strings and bytes: readable where the bytes are UTF-8 anyhow, in hexadecimal digits elsewhere.
func text(v []byte, c column) string {
	switch c.dataType {
	case "decimal":
		return string(v)
	case "date", "time", "datetime", "timestamp", "json":
		return quote(string(v))
	}
	switch c.charset {
	case "":
		return "X'" + hex.EncodeToString(v) + "'"
	case "utf8mb4", "utf8mb3", "utf8", "ascii":
		if utf8.Valid(v) {
			return quote(string(v))
		}
	}
	return "_" + c.charset + " X'" + hex.EncodeToString(v) + "'"
}

var escapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\x00", `\0`, "\x1a", `\Z`)

func quote(s string) string { return "'" + escapes.Replace(s) + "'" }

// longGuard is the length in bytes from which on values are compared by their hash.
const longGuard = 1024

// guard writes a condition that is true exactly for the value v of column c. ok is false where there is none.
func guard(v any, c column) (condition string, ok bool, err error) {
	name := quoteName(c.name)
	if v == nil {
		return name + " IS NULL", true, nil
	}
	lit, err := literal(v, c)
	if err != nil {
		return "", false, err
	}
	switch c.dataType {
	case "json":
		return name + " = CAST(" + lit + " AS JSON)", true, nil
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection", "geometrycollection", "vector":
		return "", false, nil
	}
	raw, isText := bytesOf(v, c)
	switch {
	case !isText:
		return name + " = " + lit, true, nil
	case len(raw) > longGuard:
		sum := sha256.Sum256(raw)
		return "SHA2(" + name + ", 256) = '" + hex.EncodeToString(sum[:]) + "'", true, nil
	default:
		return "CAST(" + name + " AS BINARY) = X'" + hex.EncodeToString(raw) + "'", true, nil
	}
}

// bytesOf gives the bytes as they are stored of what is text or binary.
func bytesOf(v any, c column) ([]byte, bool) {
	var raw []byte
	switch v := v.(type) {
	case string:
		raw = []byte(v)
	case []byte:
		raw = v
	default:
		return nil, false
	}
	switch c.dataType {
	case "decimal", "date", "time", "datetime", "timestamp":
		return nil, false
	case "binary": // the log leaves the zeros at the end out
		for int64(len(raw)) < c.octets.Int64 {
			raw = append(raw[:len(raw):len(raw)], 0)
		}
	}
	return raw, true
}
