// Package scripts carries those scripts of this directory that the program itself runs, so that it can do so wherever it
// was installed.
package scripts

import _ "embed" // for the variables below

// InstallTestDeps is the script install-test-deps.
//
//go:embed install-test-deps
var InstallTestDeps []byte
