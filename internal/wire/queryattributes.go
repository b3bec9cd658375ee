package wire

// maxQueryAttributes bounds the number of attributes of one query; MySQL's own limit is 65,535 parameters.
const maxQueryAttributes = 1 << 16

// SkipQueryAttributes gives the statement text in a COM_QUERY sent under CLIENT_QUERY_ATTRIBUTES. body is the payload
// behind the command byte (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html). ok is
// false when it is malformed.
func SkipQueryAttributes(body []byte) (text []byte, ok bool) {
	count, n, ok := ReadLenEnc(body)
	if !ok || count > maxQueryAttributes {
		return nil, false
	}
	_, m, ok := ReadLenEnc(body[n:]) // the number of parameter sets, always 1
	if !ok {
		return nil, false
	}
	c := cursor{rest: body[n+m:]}
	if count == 0 {
		return c.rest, true
	}
	nulls := c.bytes(int(count+7) / 8)
	c.byte() // new_params_bind_flag
	types := make([]byte, count)
	for i := range types {
		types[i] = byte(c.uint16())
		c.lenEncBytes() // the attribute's name
	}
	for i, t := range types {
		if !c.failed && nulls[i/8]&(1<<(i%8)) == 0 {
			c.skipValue(t)
		}
	}
	return c.rest, !c.failed
}

// skipValue passes over one binary value of the column type t.
func (c *cursor) skipValue(t byte) {
	switch t {
	case 0x06: // NULL
	case 0x01: // TINY
		c.bytes(1)
	case 0x02, 0x0d: // SHORT, YEAR
		c.bytes(2)
	case 0x03, 0x09, 0x04: // LONG, INT24, FLOAT
		c.bytes(4)
	case 0x08, 0x05: // LONGLONG, DOUBLE
		c.bytes(8)
	case 0x07, 0x0a, 0x0c, 0x0b: // TIMESTAMP, DATE, DATETIME, TIME: a length byte and that many bytes
		c.bytes(int(c.byte()))
	default:
		c.lenEncBytes()
	}
}
