package runtime

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParseStat is the parsing alone, of 10,000 rows in memory.
func BenchmarkParseStat(b *testing.B) {
	reply := statReply(10_000)
	s := newScratch()
	b.SetBytes(int64(len(reply)))
	b.ReportAllocs()
	for b.Loop() {
		s.lines.reset(bytes.NewReader(reply), DefaultMaxReply)
		if err := readStat(&s.lines, &s.names, func(*StatRow) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func statReply(rows int) []byte {
	var b strings.Builder
	b.WriteString("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,-,h2_headers_rcvd,\n")
	for i := range rows {
		fmt.Fprintf(&b, "b%d,app%d,0,0,0,12,,44345,123456,7890123,,0,,0,0,0,0,UP,10,1,0,3,1,3600,42,,1,%d,%d,,4434,,2,0,,7,L7OK,200,3,0,44000,0,300,45,0,0,,,44345,0,0,,,,,12,OK,,0,1,12,44,,,,Layer7 check passed,,2,3,4,,,,10.0.%d.%d:8080,c%d,http,,,,,,,,0,4434,0,,,0,,0,0,0,0,0,0,0,0,1,10,-,0,\n",
			i/100, i%100, i/100, i%100, i/100, i%100, i%100)
	}
	b.WriteString("\n")
	return []byte(b.String())
}
