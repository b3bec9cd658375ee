package session

import (
	"math"
	"strings"
)

// charsetIDs are the ids below 256 of the collations of each character set that a client can log in with, the same on all
// servers (information_schema.collations of MariaDB 10.11 and MySQL 9.7). Ranges are inclusive.
var charsetIDs = map[string][][2]byte{
	"armscii8": {{32, 32}, {64, 64}}, "ascii": {{11, 11}, {65, 65}}, "big5": {{1, 1}, {84, 84}}, "binary": {{63, 63}},
	"cp1250": {{26, 26}, {34, 34}, {44, 44}, {66, 66}, {99, 99}}, "cp1251": {{14, 14}, {23, 23}, {50, 52}}, "cp1256": {{57, 57}, {67, 67}},
	"cp1257": {{29, 29}, {58, 59}}, "cp850": {{4, 4}, {80, 80}}, "cp852": {{40, 40}, {81, 81}}, "cp866": {{36, 36}, {68, 68}},
	"cp932": {{95, 96}}, "dec8": {{3, 3}, {69, 69}}, "eucjpms": {{97, 98}}, "euckr": {{19, 19}, {85, 85}}, "gb18030": {{248, 250}},
	"gb2312": {{24, 24}, {86, 86}}, "gbk": {{28, 28}, {87, 87}}, "geostd8": {{92, 93}}, "greek": {{25, 25}, {70, 70}},
	"hebrew": {{16, 16}, {71, 71}}, "hp8": {{6, 6}, {72, 72}}, "keybcs2": {{37, 37}, {73, 73}}, "koi8r": {{7, 7}, {74, 74}},
	"koi8u": {{22, 22}, {75, 75}}, "latin1": {{5, 5}, {8, 8}, {15, 15}, {31, 31}, {47, 49}, {94, 94}},
	"latin2": {{2, 2}, {9, 9}, {21, 21}, {27, 27}, {77, 77}}, "latin5": {{30, 30}, {78, 78}}, "latin7": {{20, 20}, {41, 42}, {79, 79}},
	"macce": {{38, 38}, {43, 43}}, "macroman": {{39, 39}, {53, 53}}, "sjis": {{13, 13}, {88, 88}}, "swe7": {{10, 10}, {82, 82}},
	"tis620": {{18, 18}, {89, 89}}, "ujis": {{12, 12}, {91, 91}}, "utf8mb3": {{33, 33}, {76, 76}, {83, 83}, {192, 215}, {223, 223}},
	"utf8mb4": {{45, 46}, {224, 247}, {255, 255}},
}

// charsetOf is the character set of a collation, "" if clients cannot log in with it: servers use their default then. Above 255
// there are the newer collations of MySQL, all of utf8mb4, and MariaDB's: from 1024 on those without padding of the collation
// 1024 below, and of Unicode
// (information_schema.collations of MariaDB 10.11).
func charsetOf(collation uint16) string {
	switch {
	case collation >= 1024 && collation < 1280:
		collation -= 1024
	case collation >= 576 && collation < 608, collation >= 2048 && collation < 2304:
		return "utf8mb3"
	case collation > math.MaxUint8:
		return "utf8mb4"
	}
	for name, ranges := range charsetIDs {
		for _, r := range ranges {
			if uint16(r[0]) <= collation && collation <= uint16(r[1]) {
				return name
			}
		}
	}
	return ""
}

// utf8mb4General is utf8mb4_general_ci, which every server has.
const utf8mb4General = 45

// utf8mb3General is utf8_general_ci, called utf8mb3_general_ci in newer servers.
const utf8mb3General = 33

// LoginCollation is the id of the collation to name when the session logs in on another connection: that of its own login, unless
// it has no room in a login, or would make the server read the name of the schema, which it has reported in UTF-8, in another
// character set. Attach sets the character sets right then.
func (c *Core) LoginCollation() byte {
	l := &c.ledger
	charset := charsetOf(l.collation)
	unreadable := l.schemaUTF8 && !isASCII(l.schema) && charset != "" && !strings.HasPrefix(charset, "utf8")
	if unreadable || l.collation > math.MaxUint8 {
		return utf8mb4General
	}
	return byte(l.collation)
}

// loginSQL sets what the login would have set with the session's own collation, and what MariaDB's reset of the connection would have
// brought back; "" where they have. The results' collation, which
// metadata shows, is set on MySQL only: there the id of any collation stands for a character set, MariaDB takes none of the others
// than the default.
func (c *Core) loginSQL() string {
	charset, id := c.ledger.loginCharset()
	if uint16(c.loggedInAs) == c.ledger.collation || charset == "DEFAULT" {
		return ""
	}
	if c.config.Flavor == MySQL {
		charset = id
	}
	return "SET SESSION character_set_client=" + charset + ",SESSION character_set_results=" + charset +
		",SESSION collation_connection=" + id
}
