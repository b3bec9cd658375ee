package auth

import "hash/fnv"

// decoy gives what an unknown user is asked with: the plugins of some account, always the same for one name, so that
// who asks for a name learns nothing from the plugin. Servers do the same. It has no passwords; false means that there
// is no account to take them from.
func (t *UserTable) decoy(user string) (Account, bool) {
	decoys := t.decoys.Load()
	if decoys == nil || len(*decoys) == 0 {
		return Account{}, false
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(user))
	return Account{plugins: (*decoys)[int(h.Sum32()%uint32(len(*decoys)))]}, true
}

// decoysOf lists the plugins of the accounts that somebody can log in to through a proxy, in the order of the table.
func decoysOf(rows []accountRow) [][]string {
	var out [][]string
	for _, row := range rows {
		plugins := row.clientPlugins()
		if len(plugins) > 0 && !(Account{plugins: plugins}).barred() {
			out = append(out, plugins)
		}
	}
	return out
}
