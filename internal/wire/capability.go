package wire

// Capability is the set of protocol features that one side of a connection knows. The low 32 bits are the classic
// flags of MySQL, the high 32 bits MariaDB's extended flags, which travel in bytes that MySQL reserves and count only
// when ClientMySQL is clear on both sides.
//
// Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html and
// https://mariadb.com/kb/en/connection/#capabilities.
type Capability uint64

// The classic flags. ClientMySQL is MySQL's CLIENT_LONG_PASSWORD: MariaDB servers clear it to say who they are.
const (
	ClientMySQL                      Capability = 1 << 0
	ClientFoundRows                  Capability = 1 << 1
	ClientLongFlag                   Capability = 1 << 2
	ClientConnectWithDB              Capability = 1 << 3
	ClientNoSchema                   Capability = 1 << 4
	ClientCompress                   Capability = 1 << 5
	ClientODBC                       Capability = 1 << 6
	ClientLocalFiles                 Capability = 1 << 7
	ClientIgnoreSpace                Capability = 1 << 8
	ClientProtocol41                 Capability = 1 << 9
	ClientInteractive                Capability = 1 << 10
	ClientSSL                        Capability = 1 << 11
	ClientIgnoreSigpipe              Capability = 1 << 12
	ClientTransactions               Capability = 1 << 13
	ClientReserved                   Capability = 1 << 14
	ClientSecureConnection           Capability = 1 << 15
	ClientMultiStatements            Capability = 1 << 16
	ClientMultiResults               Capability = 1 << 17
	ClientPSMultiResults             Capability = 1 << 18
	ClientPluginAuth                 Capability = 1 << 19
	ClientConnectAttrs               Capability = 1 << 20
	ClientPluginAuthLenEncClientData Capability = 1 << 21
	ClientCanHandleExpiredPasswords  Capability = 1 << 22
	ClientSessionTrack               Capability = 1 << 23
	ClientDeprecateEOF               Capability = 1 << 24
	ClientOptionalMetadata           Capability = 1 << 25
	ClientZstd                       Capability = 1 << 26
	ClientQueryAttributes            Capability = 1 << 27
	ClientMultiFactor                Capability = 1 << 28
	ClientCapabilityExtension        Capability = 1 << 29
	ClientSSLVerifyServerCert        Capability = 1 << 30
	ClientRememberOptions            Capability = 1 << 31
)

// MariaDB's extended flags.
const (
	MariaDBProgress         Capability = 1 << 32
	MariaDBComMulti         Capability = 1 << 33
	MariaDBStmtBulk         Capability = 1 << 34
	MariaDBExtendedMetadata Capability = 1 << 35
	MariaDBCacheMetadata    Capability = 1 << 36
	MariaDBBulkUnitResults  Capability = 1 << 37
)

const (
	classicMask  Capability = 1<<32 - 1
	extendedMask Capability = classicMask << 32

	// knownExtended are the extended flags whose effect on responses the relay understands.
	knownExtended = MariaDBProgress | MariaDBStmtBulk | MariaDBExtendedMetadata | MariaDBCacheMetadata | MariaDBBulkUnitResults

	// perHop are features that each hop settles for itself: a client's choice says nothing about the server's side.
	perHop = ClientSSL | ClientSSLVerifyServerCert | ClientCompress | ClientZstd

	// serverSide is what the login towards a server needs whatever the client can do.
	serverSide = ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientPluginAuthLenEncClientData
)

// Has reports whether all flags of want are set.
func (c Capability) Has(want Capability) bool { return c&want == want }

// MariaDB reports whether the flags come from a side that speaks MariaDB's dialect of the handshake.
func (c Capability) MariaDB() bool { return c&ClientMySQL == 0 }

// Offerable gives what can be offered to a client whose session may live on any of servers: what all of them know and
// the relay understands, without TLS and compression, which are up to the client's hop (add ClientSSL where the
// listener has a certificate). No servers: nothing.
func Offerable(servers ...Capability) Capability {
	if len(servers) == 0 {
		return 0
	}
	offered := ^Capability(0)
	mariaDB := true
	for _, s := range servers {
		offered &= s
		mariaDB = mariaDB && s.MariaDB()
	}
	if !mariaDB {
		offered &^= extendedMask
	}
	return offered &^ (perHop | extendedMask&^knownExtended)
}

// Negotiate gives the features in use on a connection: what the client asked for and was offered. Extended flags count
// only if both sides clear ClientMySQL.
func Negotiate(client, offered Capability) Capability {
	both := client & offered
	if !client.MariaDB() || !offered.MariaDB() {
		both &^= extendedMask
	}
	return both
}

// ForServer gives the flags of a login at a server with the capabilities server, on behalf of a client that uses
// the capabilities client: the client's own, session tracking, and what a modern login needs. TLS and compression are
// left out; the login adds ClientSSL itself.
func ForServer(client, server Capability) Capability {
	want := client&^perHop | serverSide | ClientSessionTrack
	want = Negotiate(want, server)
	if server.MariaDB() {
		return want &^ ClientMySQL
	}
	return want
}
