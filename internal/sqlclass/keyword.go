package sqlclass

import "strings"

// word is the meaning of a keyword or name for the classifier. Names that mean the
// same to it share one value.
type word uint8

// entry is what the word table knows of a name.
// The low byte is its meaning.
type entry uint16

// builtin marks names that may stand before a parenthesis without being a stored
// function.
const builtin entry = 0x100

func (e entry) word() word { return word(e) }

const (
	wordNone word = iota
	// Words that begin statements.
	wordSelect
	wordInsert
	wordReplace
	wordUpdate
	wordDelete
	wordWith
	wordValues
	wordTable
	wordDo
	wordCall
	wordSet
	wordUse
	wordBegin
	wordStart
	wordCommit
	wordRollback
	wordSavepoint
	wordRelease
	wordShow
	wordExplain
	wordHelp
	wordCreate
	wordAlter
	wordDrop
	wordRename
	wordTruncate
	wordGrant
	wordLock
	wordUnlock
	wordPrepare
	wordExecute
	wordDeallocate
	wordHandler
	wordLoad
	wordXA
	wordKill
	wordFlush
	wordAnalyze
	wordBackup
	wordBinlog
	wordAdmin
	wordGet
	wordSignal
	wordCompound
	wordCase
	wordFor
	// Words with a meaning further inside.
	wordTransaction
	wordRead
	wordChain
	wordNo
	wordNot
	wordImmediate
	wordUsing
	wordFrom
	wordTo
	wordTemporary
	wordOr
	wordStored
	wordUser
	wordObject
	wordSession
	wordGlobal
	wordNames
	wordCharacter
	wordPassword
	wordRole
	wordDefault
	wordResource
	wordStatement
	wordAuthorization
	wordLocal
	wordInto
	wordAs
	wordOutfile
	wordShare
	wordIn
	wordValue
	wordNext
	wordOpen
	wordClose
	wordExport
	wordStage
	wordEnd
	wordConnection
	wordRecursive
	wordModifier
	wordQuery
	wordSoft
	wordHard
	// Functions and variables with effects.
	wordNamedLock
	wordNamedLockRelease
	wordNamedLockReleaseAll
	wordLastInsertID
	wordIdentity
	wordNextval
	wordPinnedVar
	wordTrackerVar
	wordSQLMode
)

// namesByWord lists the names of each meaning, separated by blanks.
var namesByWord = map[word]string{
	wordSelect: "select", wordInsert: "insert", wordReplace: "replace", wordUpdate: "update",
	wordDelete: "delete", wordWith: "with", wordValues: "values", wordTable: "table tables",
	wordDo: "do", wordCall: "call", wordSet: "set", wordUse: "use", wordBegin: "begin",
	wordStart: "start", wordCommit: "commit", wordRollback: "rollback",
	wordSavepoint: "savepoint", wordRelease: "release", wordShow: "show",
	wordExplain: "explain describe desc", wordHelp: "help", wordCreate: "create",
	wordAlter: "alter", wordDrop: "drop", wordRename: "rename", wordTruncate: "truncate",
	wordGrant: "grant revoke", wordLock: "lock", wordUnlock: "unlock",
	wordPrepare: "prepare", wordExecute: "execute", wordDeallocate: "deallocate",
	wordHandler: "handler", wordLoad: "load", wordXA: "xa", wordKill: "kill",
	wordFlush: "flush", wordAnalyze: "analyze analyse", wordBackup: "backup",
	wordBinlog: "binlog", wordGet: "get", wordSignal: "signal resignal",
	wordAdmin: "optimize repair check checksum reset purge install uninstall shutdown " +
		"restart change stop cache clone import",
	wordCompound: "if while loop repeat declare", wordCase: "case", wordFor: "for",

	wordTransaction: "transaction work", wordRead: "read", wordChain: "chain",
	wordNo: "no", wordNot: "not", wordImmediate: "immediate",
	wordUsing: "using", wordFrom: "from", wordTo: "to",
	wordTemporary: "temporary", wordOr: "or",
	wordStored: "procedure function trigger event package", wordUser: "user",
	wordObject: "view index database schema sequence", wordSession: "session",
	wordGlobal: "global persist persist_only", wordNames: "names",
	wordCharacter: "character charset char", wordPassword: "password", wordRole: "role",
	wordDefault: "default", wordResource: "resource", wordStatement: "statement",
	wordAuthorization: "authorization", wordLocal: "local", wordInto: "into",
	wordAs: "as", wordOutfile: "outfile dumpfile", wordShare: "share", wordIn: "in",
	wordValue: "value", wordNext: "next", wordOpen: "open",
	wordClose: "close", wordExport: "export", wordStage: "stage", wordEnd: "end",
	wordConnection: "connection", wordRecursive: "recursive",
	wordModifier: "low_priority high_priority delayed ignore", // between INSERT and its table
	wordQuery:    "query", wordSoft: "soft", wordHard: "hard",

	wordNamedLock: "get_lock service_get_read_locks service_get_write_locks " +
		"version_tokens_lock_shared version_tokens_lock_exclusive",
	wordNamedLockRelease:    "release_lock service_release_locks version_tokens_unlock",
	wordNamedLockReleaseAll: "release_all_locks",
	wordLastInsertID:        "last_insert_id", wordIdentity: "identity",
	wordNextval:   "nextval setval",
	wordPinnedVar: "timestamp insert_id rand_seed1 rand_seed2",
	wordTrackerVar: "session_track_schema session_track_system_variables " +
		"session_track_state_change session_track_transaction_info session_track_gtids " +
		"session_track_user_variables",
	wordSQLMode: "sql_mode",
}

// tableSize is a power of two, some three times the number of names.
const tableSize = 4096

type slot struct {
	name  string
	entry entry
}

// nameTable is a hash table with linear probing.
type nameTable [tableSize]slot

var knownNames = newWordTable()

func newWordTable() *nameTable {
	t := new(nameTable)
	for w, names := range namesByWord {
		for name := range strings.FieldsSeq(names) {
			*t.add(name) |= entry(w)
		}
	}
	for name := range strings.FieldsSeq(builtinNames) {
		*t.add(name) |= builtin
	}
	return t
}

// add returns the entry of name, which it makes if need be.
func (t *nameTable) add(name string) *entry {
	hash := uint32(0)
	for i := range len(name) {
		hash = hashByte(hash, name[i])
	}
	i := hash % tableSize
	for t[i].name != "" && t[i].name != name {
		i = (i + 1) % tableSize
	}
	t[i].name = name
	return &t[i].entry
}

// hashByte adds one byte of a name to its hash; case does not matter.
func hashByte(hash uint32, c byte) uint32 { return hash*31 + uint32(c|0x20) }

// lookup returns what is known of a name with the given hash, in any case.
func lookup(name []byte, hash uint32) entry {
	for i := hash % tableSize; knownNames[i].name != ""; i = (i + 1) % tableSize {
		if equalFold(name, knownNames[i].name) {
			return knownNames[i].entry
		}
	}
	return 0
}

// lookupName is lookup for a name whose hash is not known yet.
func lookupName(name []byte) entry {
	hash := uint32(0)
	for _, c := range name {
		hash = hashByte(hash, c)
	}
	return lookup(name, hash)
}

// equalFold compares with a lower-case ASCII name.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
