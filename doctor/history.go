package doctor

type mark struct{}
type start struct{}
