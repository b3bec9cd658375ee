// Package conf turns the configuration file, the environment and secret files into one checked Config.
//
// The structs of this package are the documentation: the doc comment of each field is its entry in
// docs/configuration.md, and the tags say what the loader enforces:
//
//	yaml      the key
//	default   the value when the key is missing
//	min, max  the smallest and largest allowed value of a duration or number
//	enum      the allowed words
//	required  the key must be there and not empty
//
// Every problem of a file is collected and reported at once, with its line and what to write instead. The package
// is the only importer of viper and imports nothing else of this project.
package conf
