//go:build !linux

package main

func raiseFileLimit() {}

func fileLimit() int { return 1024 }
