package auth

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func explains(c *Cache, user, password string) bool {
	salt := NewSalt()
	return len(c.explain(user, sha2Reply([]byte(password), salt[:]), salt[:])) == 1
}

func TestCacheExplainsWhatItKnows(t *testing.T) {
	c := NewCache()
	c.add("u", NewPassword([]byte("one")))
	c.add("u", NewPassword([]byte("two")))
	c.add("u", NewPassword([]byte("one")))
	for password, want := range map[string]bool{"one": true, "two": true, "three": false} {
		if explains(c, "u", password) != want {
			t.Errorf("%s: want %v", password, want)
		}
	}
	if explains(c, "v", "one") {
		t.Error("one user's password explains another's reply")
	}
	if n := len(c.users["u"]); n != 2 {
		t.Errorf("%d entries", n)
	}
	salt := NewSalt()
	for _, s := range c.explain("u", sha2Reply([]byte("one"), salt[:]), salt[:]) {
		c.forget("u", s)
	}
	if explains(c, "u", "one") || !explains(c, "u", "two") {
		t.Error("the wrong password was forgotten")
	}
	c.Drop("u")
	if explains(c, "u", "two") {
		t.Error("a dropped user is known")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache()
	for i := range cachePerUser + 1 {
		c.add("u", NewPassword([]byte(fmt.Sprint(i))))
	}
	if explains(c, "u", "0") || !explains(c, "u", "1") {
		t.Error("the oldest password must go")
	}
	for i := range cacheUsers + 5 {
		c.add(fmt.Sprint("user", i), NewPassword([]byte("x")))
	}
	if n := len(c.users); n > cacheUsers {
		t.Errorf("%d users", n)
	}
}

func TestCacheForgetsAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		c.add("u", NewPassword([]byte("one")))
		time.Sleep(cacheLife - time.Minute)
		if !explains(c, "u", "one") {
			t.Fatal("forgotten too early")
		}
		time.Sleep(cacheLife - time.Minute)
		if !explains(c, "u", "one") {
			t.Fatal("a use did not count")
		}
		time.Sleep(cacheLife + time.Minute)
		if explains(c, "u", "one") {
			t.Fatal("not forgotten")
		}
		c.expireNow()
		if len(c.users) != 0 {
			t.Fatal("still kept")
		}
	})
}
