package main

import (
	"context"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/doctor"
)

// Findings implements admin.Patient.
func (c *adminCluster) Findings() api.Doctor { return apiDoctor(c.doctor.Last()) }

// Examine implements admin.Patient.
func (c *adminCluster) Examine(ctx context.Context) api.Doctor { return apiDoctor(c.doctor.Check(ctx)) }

// SelfTest implements admin.Patient.
func (c *adminCluster) SelfTest(ctx context.Context) api.SelfTest {
	return apiSelfTest(c.doctor.SelfTest(ctx))
}

func apiDoctor(r doctor.Report) api.Doctor {
	out := api.Doctor{Cluster: r.Cluster, TookMS: inMS(r.Took), Checks: r.Checks, Failed: r.Failed}
	if !r.At.IsZero() {
		at := r.At.UTC()
		out.At = &at
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, api.Finding{
			Code: f.Code, Severity: f.Severity.String(), Server: f.Server, Summary: f.Summary, Evidence: f.Evidence, Fix: f.Fix, Blocks: f.Blocks,
		})
	}
	return out
}

func apiSelfTest(t doctor.SelfTest) api.SelfTest {
	out := api.SelfTest{Cluster: t.Cluster, At: t.At.UTC(), TookMS: inMS(t.Took), Primary: t.Primary, OK: t.OK, Problems: t.Problems}
	for _, l := range t.Legs {
		out.Legs = append(out.Legs, api.Leg{
			From: l.From, To: l.To, Reverse: l.Reverse, OK: l.OK, RoundTripMS: inMS(l.RoundTrip), DriftMS: inMS(l.Drift), Evidence: l.Evidence,
		})
	}
	return out
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
