package admin

import (
	"encoding/json"
	"net/http"

	"github.com/onewriter/onewriter/admin/api"
)

// problem answers with an application/problem+json document.
func problem(w http.ResponseWriter, status int, reasons ...string) {
	writeProblem(w, api.Problem{Status: status, Reasons: reasons})
}

func writeProblem(w http.ResponseWriter, p api.Problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	if p.Reasons == nil {
		p.Reasons = []string{}
	}
	if p.Detail == "" && len(p.Reasons) > 0 {
		p.Detail = p.Reasons[0]
	}
	write(w, p.Status, "application/problem+json", p)
}

func reply(w http.ResponseWriter, status int, body any) { write(w, status, "application/json", body) }

func write(w http.ResponseWriter, status int, contentType string, body any) {
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil { // a document of package api always encodes; an infinite number would be the exception
		http.Error(w, "cannot encode the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // a client that went away needs no answer
}
