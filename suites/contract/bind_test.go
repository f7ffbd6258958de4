package contract

import "testing"

func TestBindStandardWithLittle(t *testing.T) {
	c, err := Shipped("standard")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GRANTCHECK_BASE_URL": "http://127.0.0.1:1", "GRANTCHECK_TOKEN_PATH": "/token", "GRANTCHECK_CLIENT_ID": "me", "GRANTCHECK_CLIENT_SECRET": "s3cret"}
	b, secrets, err := c.Bind(func(n string) (string, bool) { v, ok := env[n]; return v, ok }, BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range b.Absent {
		t.Log(a)
	}
	t.Log(secrets)
	t.Logf("%+v", b)
	_, _, err = c.Bind(func(n string) (string, bool) { return "", false }, BindOptions{})
	t.Log(err)
}
